//! The hostile names, and what the contract requires for each. The expectations are written out instead of
//! computed.

use super::STORAGE_KEY;

/// What the gateway must do with a cookie that a logout request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The gateway must delete the cookie with this name.
    Deleted(String),
    /// The gateway must keep the cookie, which belongs to another application.
    Kept,
    /// The gateway must refuse the request with 400, because the header is not valid HTTP.
    Refused,
}

/// A part of a `Cookie` header, and what the gateway must do with that part.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) pair: Vec<u8>,
    pub(super) fate: Fate,
}

/// A row for a cookie with this name and the value `planted`.
fn row(name: impl AsRef<[u8]>, fate: Fate) -> Row {
    Row { pair: [name.as_ref(), b"=planted"].concat(), fate }
}

fn deleted(name: &str) -> Row {
    row(name, Fate::Deleted(name.to_owned()))
}

fn kept(name: impl AsRef<[u8]>) -> Row {
    row(name, Fate::Kept)
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
    let genuine = [".0", ".1", ".10", "-user", "-user.0", "-code-verifier", "-flows-code-verifier.7"];
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
    let genuine = genuine.iter().map(|suffix| deleted(&format!("{STORAGE_KEY}{suffix}")));
    let longer = after.iter().map(|suffix| kept(format!("{STORAGE_KEY}{suffix}")));
    let prefixed = before.iter().flat_map(|prefix| {
        [kept(format!("{prefix}{STORAGE_KEY}")), kept(format!("{prefix}{STORAGE_KEY}.0"))]
    });
    genuine.chain(longer).chain(prefixed).collect()
}

#[rustfmt::skip]
fn foreign_names() -> Vec<Row> {
    let names = [
        "sb-12-auth-token", "sb-1270-auth-token", "sb-127-auth-toke", "SB-127-AUTH-TOKEN",
        "Sb-127-auth-token.0", "sb_127_auth_token", "sb-127.0.0.1-auth-token", "sb-128-auth-token.0",
        "supabase-auth-token", "sb-access-token.0", "sb-access-tokenx", "xsb-access-token", "SB-ACCESS-TOKEN",
        "sb-access-token-user", "__Host-sb-access-token", "sb-access_token", "sb-127-access-token",
        "sb-refresh-token.0", "sb-refresh-tokens", "sb-refresh-toke", "Sb-refresh-token", "sb-csrf-token.0", "sb-csrf-tokenx",
        "xsb-csrf-token", "SB-CSRF-TOKEN", "sb-csrf-token-user", "__Host-sb-csrf-token", "sb-csrf_token",
        "Domain", "Path", "Max-Age", "max-age", "Expires", "Secure", "HttpOnly", "SameSite", "Partitioned",
        "Set-Cookie", "Cookie", "$Version", "$Path", "$Domain", "__proto__", "constructor", "prototype",
        "toString", "hasOwnProperty", "null", "undefined",
        "%73b-127-auth-token", "sb-127-auth-token%2e0", "sb-127-auth-token.%30", "sb-127-auth-token%00",
        "sb-127-auth-token.0%20", "sb-127-auth-token.0%3b", "sb-127-auth-token-user%0d%0aSet-Cookie:%20a",
        "sb-127-auth-token\\u002e0", "sb-127-auth-token&#46;0",
    ];
    let older = ["sb-access-token", "sb-refresh-token"].map(deleted);
    names.map(kept).into_iter().chain(older).collect()
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
    let genuine = decimals.iter().flat_map(|n| {
        [
            deleted(&format!("{STORAGE_KEY}.{n}")),
            deleted(&format!("{STORAGE_KEY}-code-verifier.{n}")),
        ]
    });
    genuine.chain(others.iter().map(|n| kept(format!("{STORAGE_KEY}.{n}")))).collect()
}

fn flow_ids() -> Vec<Row> {
    let name = |id: &str| format!("{STORAGE_KEY}-flow-{id}-code-verifier");
    let mut rows: Vec<Row> = ["12345678", "A-z_0-9-", "--------", "________", &"a".repeat(64)]
        .iter()
        .map(|id| deleted(&name(id)))
        .collect();
    let others = ["", "1", "1234567", "-", "flow-1-", &"a".repeat(65), &"a".repeat(1000)];
    rows.extend(others.iter().map(|id| kept(name(id))));
    // An id of eight characters is no flow id if one of the characters is not allowed: the cookie must be
    // kept.
    rows.extend("!\"#$%&'()*+,./:<=>?@[\\]^`{|}~ \tä\u{ff10}\u{212a}".chars().map(|c| {
        let id = format!("123{c}5678");
        kept(name(&id))
    }));
    rows
}

/// Names with punctuation. `;` and `=` cannot be in a name: [`pairs`] has them.
fn punctuation() -> Vec<Row> {
    let marks = "!\"#$%&'()*+,-./:<>?@[\\]^_`{|}~".chars();
    let around = |c| {
        [
            format!("{STORAGE_KEY}{c}"),
            format!("{STORAGE_KEY}.0{c}"),
            format!("{c}{STORAGE_KEY}.0"),
            format!("{STORAGE_KEY}.{c}0"),
        ]
    };
    marks.flat_map(around).map(kept).collect()
}

/// Names with control characters. Only the tab is allowed in a header value (RFC 9110, section 5.5). A line
/// feed ends the header, and the text after it is no valid header.
fn control_bytes() -> Vec<Row> {
    let bytes = (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t');
    let around = |byte| {
        let with =
            |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        [with(STORAGE_KEY, ".0"), with("", "sb-127-auth-token.0"), with("sb-127-auth-token.0", "")]
    };
    let refused = bytes.flat_map(around).map(|name| row(name, Fate::Refused));
    refused
        .chain([kept(format!("{STORAGE_KEY}.\t0")), kept(format!("{STORAGE_KEY}\t.0"))])
        .collect()
}

/// Names with Unicode white space, Unicode digits, letters that look like ASCII letters, or code points that
/// become ASCII characters when they are cut to one byte.
fn other_alphabets() -> Vec<Row> {
    let spaces = "\u{85}\u{a0}\u{ad}\u{1680}\u{180e}\u{2000}\u{2003}\u{2009}\u{200a}\u{200b}\u{200d}\u{2028}\
                  \u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\u{3000}\u{fe0f}\u{feff}";
    let around = |c| {
        [
            format!("{c}{STORAGE_KEY}.0"),
            format!("{STORAGE_KEY}.0{c}"),
            format!("{STORAGE_KEY}{c}"),
            format!("{STORAGE_KEY}.{c}0"),
        ]
    };
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
    let numbered = digits.chars().map(|digit| format!("{STORAGE_KEY}.{digit}"));
    let spelt = letters.map(str::to_owned);
    around_spaces.chain(numbered).chain(spelt).map(kept).collect()
}

/// Names with single bytes that are not valid UTF-8.
fn octets() -> Vec<Row> {
    let octets = (0x80..=0xff).step_by(6);
    let around = |octet| {
        let chunk = format!("{STORAGE_KEY}.0").into_bytes();
        [[&[octet], chunk.as_slice()].concat(), [chunk.as_slice(), &[octet]].concat()]
    };
    octets.flat_map(around).map(kept).collect()
}

/// Pairs with unusual delimiters. RFC 6265bis, section 5.6: a `;` ends a pair, also between quotes; the first
/// `=` ends the name; spaces and tabs around the name are not part of it.
fn pairs() -> Vec<Row> {
    let kept = [
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
        "KEY-user=planted;Domain=planted.example;Path=/x;Max-Age=9",
        "KEY-user=planted; KEY-user=again",
        ";;KEY-user=planted",
        "KEY-user=\"planted\"",
        "Secure;KEY-user=planted",
    ];
    let pair = |text: &str, fate: &Fate| Row {
        pair: text.replace("KEY", STORAGE_KEY).into(),
        fate: fate.clone(),
    };
    let deleted = Fate::Deleted(format!("{STORAGE_KEY}-user"));
    let kept = kept.iter().map(|text| pair(text, &Fate::Kept));
    kept.chain(user.iter().map(|text| pair(text, &deleted))).collect()
}

fn long_names() -> Vec<Row> {
    let long = 50_000;
    let names = [
        "a".repeat(long),
        format!("{STORAGE_KEY}{}", "a".repeat(long)),
        format!("{STORAGE_KEY}.{}", "1".repeat(long)),
        format!("{STORAGE_KEY}.0{}", " .0".repeat(long / 3)),
        format!("{STORAGE_KEY}-flow-{}-code-verifier", "a".repeat(long)),
        format!("{STORAGE_KEY}{}", "-user".repeat(long / 5)),
        ";".repeat(long),
        "=".repeat(long),
        "\u{e4}".repeat(long / 2),
    ];
    names.map(kept).to_vec()
}
