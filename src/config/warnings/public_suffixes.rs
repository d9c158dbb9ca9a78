//! The public suffix list: the domains under which anybody can register a name, and browsers accept no cookie for
//! them (RFC 6265, section 5.3).
//!
//! The rules stand in a file, because the crates that compile them into code add 650 KB to the binary. The list's
//! own repository explains the rules: <https://github.com/publicsuffix/list/wiki/Format>.

/// A line for each domain that has rules: the domain, and the labels that are public suffixes under it. The domain `.` has
/// the top-level domains. The label `*` stands for each label, and `!` begins an exception from it.
/// Internationalized names are in Punycode. One line for many rules makes the text, and so the binary, 54 KB smaller
/// than one line for each.
const RULES: &str = include_str!("public_suffixes.txt");

/// Whether the domain, in lower case, is a public suffix.
pub(super) fn contains(domain: &str) -> bool {
    let (label, parent) = domain.split_once('.').unwrap_or((domain, "."));
    let mut lines = RULES.lines().filter_map(|line| line.split_once(' '));
    let Some((_, labels)) = lines.find(|(domain, _)| *domain == parent) else { return false };
    let has = |rule: &str| labels.split(' ').any(|label| label == rule);
    (has(label) || has("*")) && !labels.split(' ').any(|rule| rule.strip_prefix('!') == Some(label))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, env, fs, path::Path};

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

    /// A rule of the list in Punycode, with the marks `!` and `*.`.
    fn in_punycode(rule: &str) -> String {
        let name = rule.trim_start_matches(['!', '*', '.']);
        let marks = rule.strip_suffix(name).unwrap();
        format!("{marks}{}", Host::parse(name).unwrap())
    }

    /// The rules as the file has them.
    fn lines_of(rules: impl Iterator<Item = String>) -> BTreeMap<String, Vec<String>> {
        let mut lines = BTreeMap::<_, Vec<_>>::new();
        for rule in rules {
            let (label, domain) = rule.split_once('.').unwrap_or((&rule, "."));
            lines.entry(domain.to_owned()).or_default().push(label.to_owned());
        }
        lines
    }

    /// Writes the rules of another list to the file, if `PUBLIC_SUFFIX_LIST` names one.
    #[test]
    fn public_suffixes_txt_has_only_rules() {
        if let Some(list) = env::var_os("PUBLIC_SUFFIX_LIST") {
            let list = fs::read_to_string(list).unwrap();
            let head = RULES.lines().filter(|line| is_comment(line)).map(str::to_owned);
            let rules = list.lines().filter(|line| !line.is_empty() && !is_comment(line));
            let lines = lines_of(rules.map(in_punycode)).into_iter();
            let lines = lines.map(|(domain, labels)| format!("{domain} {}", labels.join(" ")));
            let file = "src/config/warnings/public_suffixes.txt";
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            fs::write(path, head.chain(lines).collect::<Vec<_>>().join("\n") + "\n").unwrap();
            return;
        }
        let mut count = 0;
        for line in RULES.lines().filter(|line| !is_comment(line)) {
            let (domain, labels) = line.split_once(' ').unwrap();
            for label in labels.split(' ') {
                let rule =
                    if domain == "." { label.to_owned() } else { format!("{label}.{domain}") };
                assert_eq!(in_punycode(&rule), rule);
                count += 1;
            }
        }
        assert!(count > 9_000);
    }
}
