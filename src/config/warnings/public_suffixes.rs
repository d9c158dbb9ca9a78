//! The public suffix list: the domains under which anybody can register a name, and browsers accept no cookie for
//! them (RFC 6265, section 5.3).
//!
//! The rules stand in a file, because the crates that compile them into code add 650 KB to the binary. The list's
//! own repository explains the rules: <https://github.com/publicsuffix/list/wiki/Format>.

/// One rule a line. `*` stands for one label, and `!` begins an exception from such a
/// rule. Internationalized names are in Punycode.
const RULES: &str = include_str!("public_suffixes.txt");

/// Whether the domain, in lower case, is a public suffix.
pub(super) fn contains(domain: &str) -> bool {
    let parent = domain.split_once('.').map(|(_, parent)| parent);
    let (mut is_suffix, mut is_exception) = (false, false);
    for rule in RULES.lines() {
        is_suffix |= rule == domain
            || rule.strip_prefix("*.").is_some_and(|wildcard| Some(wildcard) == parent);
        is_exception |= rule.strip_prefix('!') == Some(domain);
    }
    is_suffix && !is_exception
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use rstest::rstest;
    use url::Host;

    use super::*;

    #[rstest]
    #[case("com", true)]
    #[case("co.uk", true)]
    #[case("vercel.app", true)]
    #[case("example.com", false)]
    #[case("a.vercel.app", false)]
    #[case("internal", false)]
    #[case::of_a_wildcard("a.ck", true)]
    #[case::of_a_wildcard_whose_parent_is_no_rule("ck", false)]
    #[case::exception("www.ck", false)]
    #[case::below_a_wildcard("b.a.ck", false)]
    #[case::punycode("xn--55qx5d.cn", true)]
    #[case::part_of_a_label("o.uk", false)]
    fn a_domain_is_looked_up(#[case] domain: &str, #[case] is_suffix: bool) {
        assert_eq!(contains(domain), is_suffix);
    }

    fn is_comment(line: &str) -> bool {
        line.starts_with("//")
    }

    /// A rule of the list as `RULES` has it.
    fn in_punycode(rule: &str) -> String {
        let name = rule.trim_start_matches(['!', '*', '.']);
        let marks = rule.strip_suffix(name).unwrap();
        format!("{marks}{}", Host::parse(name).unwrap())
    }

    /// Writes the rules of another list to the file, if `PUBLIC_SUFFIX_LIST` names one.
    #[test]
    fn public_suffixes_txt_has_only_rules() {
        if let Some(list) = env::var_os("PUBLIC_SUFFIX_LIST") {
            let list = fs::read_to_string(list).unwrap();
            let head = RULES.lines().filter(|line| is_comment(line)).map(str::to_owned);
            let rules = list.lines().filter(|line| !line.is_empty() && !is_comment(line));
            let lines: Vec<_> = head.chain(rules.map(in_punycode)).collect();
            let file = "src/config/warnings/public_suffixes.txt";
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            fs::write(path, lines.join("\n") + "\n").unwrap();
            return;
        }
        let rules: Vec<_> = RULES.lines().filter(|line| !is_comment(line)).collect();
        assert!(rules.len() > 9_000);
        for rule in rules {
            assert_eq!(in_punycode(rule), rule);
        }
    }
}
