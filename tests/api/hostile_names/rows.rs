//! The names, each with what the contract says of it: stated here, never computed.

use super::K;

/// What becomes of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The cookie of this name is deleted.
    Goes(String),
    /// It is somebody else's.
    Stays,
    /// No HTTP: 400 for the whole request.
    Refused,
}

/// What stands in a `Cookie` header, and its fate.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) pair: Vec<u8>,
    pub(super) fate: Fate,
}

/// A cookie of that name.
fn row(name: impl AsRef<[u8]>, fate: Fate) -> Row {
    Row { pair: [name.as_ref(), b"=planted"].concat(), fate }
}

fn goes(name: &str) -> Row {
    row(name, Fate::Goes(name.to_owned()))
}

fn stays(name: impl AsRef<[u8]>) -> Row {
    row(name, Fate::Stays)
}

pub(super) fn rows() -> Vec<Row> {
    let families = [
        near_misses(),
        foreign_names(),
        numbers(),
        flow_ids(),
        punctuation(),
        control_bytes(),
        other_alphabets(),
        octets(),
        pairs(),
        long_names(),
    ];
    families.concat()
}

#[rustfmt::skip]
fn near_misses() -> Vec<Row> {
    let ours = [".0", ".1", ".10", "-user", "-user.0", "-code-verifier", "-flows-code-verifier.7"];
    let after = [
        "..", "..1", ".0.0", ".00", ".01", ".-1", ".+1", ".1e3", ".0x0", ".1_0",
        ".1.", ".1,0", ".0 .1", ".x", ".0x", ".0-user", ".NaN", ".Infinity", "0", "1", "x", "--user",
        "-user-", "-User", "-USER", "-user.", "-user.01", "-user.-1", "-user-user", "-users", ".user", "_user",
        "-code-verifier.1.1", "-code-verifier-user", "-code_verifier", "-code-verifie", "code-verifier",
        "-flow", "-flows", "-flows-", "-flow-code-verifier", "-flows-code-verifierx", "-other", "-token",
    ];
    let before = [
        "x", "x.", "0", "sb-", "__Host-", "__host-", "__HOST-", "__Secure-", "__secure-",
        "__Http-", "__Host-Http-",
    ];
    let ours = ours.iter().map(|suffix| goes(&format!("{K}{suffix}")));
    let longer = after.iter().map(|suffix| stays(format!("{K}{suffix}")));
    let behind = before.iter().flat_map(|prefix| {
        [stays(format!("{prefix}{K}")), stays(format!("{prefix}{K}.0"))]
    });
    ours.chain(longer).chain(behind).collect()
}

#[rustfmt::skip]
fn foreign_names() -> Vec<Row> {
    let names = [
        "sb-12-auth-token", "sb-1270-auth-token", "sb-127-auth-toke", "SB-127-AUTH-TOKEN",
        "Sb-127-auth-token.0", "sb_127_auth_token", "sb-127.0.0.1-auth-token", "sb-128-auth-token.0",
        "supabase-auth-token", "sb-access-token", "sb-refresh-token", "sb-csrf-token.0", "sb-csrf-tokenx",
        "xsb-csrf-token", "SB-CSRF-TOKEN", "sb-csrf-token-user", "__Host-sb-csrf-token", "sb-csrf_token",
        "Domain", "Path", "Max-Age", "max-age", "Expires", "Secure", "HttpOnly", "SameSite", "Partitioned",
        "Set-Cookie", "Cookie", "$Version", "$Path", "$Domain", "__proto__", "constructor", "prototype",
        "toString", "hasOwnProperty", "null", "undefined",
        "%73b-127-auth-token", "sb-127-auth-token%2e0", "sb-127-auth-token.%30", "sb-127-auth-token%00",
        "sb-127-auth-token.0%20", "sb-127-auth-token.0%3b", "sb-127-auth-token-user%0d%0aSet-Cookie:%20a",
        "sb-127-auth-token\\u002e0", "sb-127-auth-token&#46;0",
    ];
    names.map(stays).to_vec()
}

fn numbers() -> Vec<Row> {
    let decimals = [
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "10000000000000000000000000000000000000000",
        &"9".repeat(64),
    ];
    let others = ["9".repeat(65), "1".repeat(3900), "0".repeat(64), format!("0{}", "1".repeat(63))];
    let ours = decimals
        .iter()
        .flat_map(|n| [goes(&format!("{K}.{n}")), goes(&format!("{K}-code-verifier.{n}"))]);
    ours.chain(others.iter().map(|n| stays(format!("{K}.{n}")))).collect()
}

fn flow_ids() -> Vec<Row> {
    let name = |id: &str| format!("{K}-flow-{id}-code-verifier");
    let mut rows: Vec<Row> = ["12345678", "A-z_0-9-", "--------", "________", &"a".repeat(64)]
        .iter()
        .map(|id| goes(&name(id)))
        .collect();
    let others = ["", "1", "1234567", "-", "flow-1-", &"a".repeat(65), &"a".repeat(1000)];
    rows.extend(others.iter().map(|id| stays(name(id))));
    // One of its eight is not of the alphabet.
    rows.extend("!\"#$%&'()*+,./:<=>?@[\\]^`{|}~ \tä\u{ff10}\u{212a}".chars().map(|c| {
        let id = format!("123{c}5678");
        stays(name(&id))
    }));
    rows
}

/// `;` and `=` are no part of a name: see [`pairs`].
fn punctuation() -> Vec<Row> {
    let marks = "!\"#$%&'()*+,-./:<>?@[\\]^_`{|}~".chars();
    let around =
        |c| [format!("{K}{c}"), format!("{K}.0{c}"), format!("{c}{K}.0"), format!("{K}.{c}0")];
    marks.flat_map(around).map(stays).collect()
}

/// RFC 9110, section 5.5: of these a header's value may hold the tab alone. A line feed ends the header,
/// and what follows is none.
fn control_bytes() -> Vec<Row> {
    let bytes = (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t');
    let around = |byte| {
        let with =
            |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        [with(K, ".0"), with("", "sb-127-auth-token.0"), with("sb-127-auth-token.0", "")]
    };
    let refused = bytes.flat_map(around).map(|name| row(name, Fate::Refused));
    refused.chain([stays(format!("{K}.\t0")), stays(format!("{K}\t.0"))]).collect()
}

/// White space that is none in a cookie, digits that are none, letters that look like others, and what
/// becomes an ASCII character where a code point is cut down to an octet.
fn other_alphabets() -> Vec<Row> {
    let spaces = "\u{85}\u{a0}\u{ad}\u{1680}\u{180e}\u{2000}\u{2003}\u{2009}\u{200a}\u{200b}\u{200d}\u{2028}\
                  \u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\u{3000}\u{fe0f}\u{feff}";
    let around =
        |c| [format!("{c}{K}.0"), format!("{K}.0{c}"), format!("{K}{c}"), format!("{K}.{c}0")];
    let digits = "\u{660}\u{6f0}\u{966}\u{ff10}\u{ff11}\u{b9}\u{2080}\u{2460}\u{1d7ce}\u{130}";
    let letters = [
        "\u{455}b-127-auth-token",
        "sb-127-\u{430}uth-token",
        "sb-127-auth-to\u{212a}en",
        "\u{ff53}b-127-auth-token.0",
        "sb\u{2010}127\u{2010}auth\u{2010}token.0",
        "sb-127-auth-token\u{ff0e}0",
        "sb-127-auth-token\u{12e}0",
        "sb-127-auth-token.0\u{13b}",
        "sb-127-auth-token-user\u{10d}\u{10a}",
    ];
    let around_spaces = spaces.chars().flat_map(around);
    let numbered = digits.chars().map(|digit| format!("{K}.{digit}"));
    let spelt = letters.map(str::to_owned);
    around_spaces.chain(numbered).chain(spelt).map(stays).collect()
}

/// Octets that are no UTF-8 alone.
fn octets() -> Vec<Row> {
    let octets = (0x80..=0xff).step_by(6);
    let around = |octet| {
        let chunk = format!("{K}.0").into_bytes();
        [[&[octet], chunk.as_slice()].concat(), [chunk.as_slice(), &[octet]].concat()]
    };
    octets.flat_map(around).map(stays).collect()
}

/// RFC 6265bis, section 5.6: a `;` ends a pair wherever it stands, quotes or not; the first `=` ends the
/// name; space and tab around are no part of it.
fn pairs() -> Vec<Row> {
    let stay = [
        "",
        ";",
        "; ; ;",
        " ",
        "=",
        "==",
        "=;=",
        "KEY.0",
        "=KEY.0",
        "=KEY.0=planted",
        "\"KEY.0\"=planted",
        "'KEY.0'=planted",
        "\"KEY.0=planted\"",
        "x=1, KEY-user=planted",
        "x=KEY-user=planted",
        "KEY-user",
        "KEY-user;=planted",
        "KEY-user;x=planted",
        "x=\"KEY.0=planted\"",
        "KEY-user:planted",
        "KEY-user%3Dplanted",
        "KEY -user=planted",
    ];
    let user = [
        "KEY-user=",
        "KEY-user==planted",
        "KEY-user = planted",
        "\tKEY-user\t=\tplanted",
        "x=1;KEY-user=planted",
        "x=\"; KEY-user=planted; y=\"",
        "KEY-user=planted;Domain=evil.example;Path=/x;Max-Age=9",
        "KEY-user=planted; KEY-user=again",
        ";;KEY-user=planted",
        "KEY-user=\"planted\"",
        "Secure;KEY-user=planted",
    ];
    let pair =
        |text: &str, fate: &Fate| Row { pair: text.replace("KEY", K).into(), fate: fate.clone() };
    let goes = Fate::Goes(format!("{K}-user"));
    let stay = stay.iter().map(|text| pair(text, &Fate::Stays));
    stay.chain(user.iter().map(|text| pair(text, &goes))).collect()
}

fn long_names() -> Vec<Row> {
    let long = 50_000;
    let names = [
        "a".repeat(long),
        format!("{K}{}", "a".repeat(long)),
        format!("{K}.{}", "1".repeat(long)),
        format!("{K}.0{}", " .0".repeat(long / 3)),
        format!("{K}-flow-{}-code-verifier", "a".repeat(long)),
        format!("{K}{}", "-user".repeat(long / 5)),
        ";".repeat(long),
        "=".repeat(long),
        "\u{e4}".repeat(long / 2),
    ];
    names.map(stays).to_vec()
}
