//! Addition and subtraction of numbers as long as the parts of a signature.

/// The order of the curve P-256 (FIPS 186-4, D.1.2.3), big-endian in hexadecimal digits.
pub(crate) const P256_ORDER: &str =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The order of Ed25519's group (RFC 8032, section 5.1), little-endian in hexadecimal digits.
pub(crate) const ED25519_ORDER: &str =
    "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// The bytes that the hexadecimal digits stand for.
pub(crate) fn octets(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// The second valid signature of the same message: anyone can compute (r, n - s) from an ES256 signature (r,
/// s).
pub(crate) fn malleable_twin(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    [r, &minus(&octets(P256_ORDER), s)].concat()
}

/// Returns `a - b`. Both numbers are big-endian, and `b` must be smaller than `a`.
pub(crate) fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(&a, &b)| {
            let digit = i16::from(a) - i16::from(b) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    assert_eq!(borrow, 0, "b is larger than a");
    digits.reverse();
    digits
}

/// Returns `a + b`. Both numbers are little-endian, and the sum must be no longer than they are.
pub(crate) fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let digits = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| {
            let digit = u16::from(a) + u16::from(b) + carry;
            carry = digit >> 8;
            u8::try_from(digit & 0xff).unwrap()
        })
        .collect();
    assert_eq!(carry, 0, "the sum is longer than a and b");
    digits
}
