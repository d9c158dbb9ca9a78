use rstest::rstest;

use super::{super::tests::parse, unused_proxies_of};
use crate::session::token::issuers::PublishedIssuer;

const SECRET: (&str, &str) = ("GATEWAY_SECRET", "0123456789abcdef0123456789abcdef");
const STORE: (&str, &str) = ("GATEWAY_STORE", "file:store");

#[rstest]
#[case::none(&[], &[])]
#[case::few_characters(
    &[("GATEWAY_SECRET", "0123456789abcde0123456789abcde00")],
    &["GATEWAY_SECRET"]
)]
#[case::few_characters_in_the_previous_secret(
    &[("GATEWAY_SECRET_PREVIOUS", "0123456789abcde0123456789abcde00")],
    &["GATEWAY_SECRET_PREVIOUS"]
)]
#[case::many_characters_in_the_previous_secret(
    &[("GATEWAY_SECRET_PREVIOUS", "0123456789abcdef0123456789abcdef")],
    &[]
)]
#[case::plain_gotrue(&[("GOTRUE_URL", "http://auth:9999")], &["GOTRUE_URL"])]
#[case::plain_gotrue_by_address(&[("GOTRUE_URL", "http://10.0.0.1")], &["GOTRUE_URL"])]
#[case::plain_gotrue_here(&[("GOTRUE_URL", "http://127.0.0.1:9999")], &[])]
#[case::plain_gotrue_here_by_ipv6(&[("GOTRUE_URL", "http://[::1]:9999")], &[])]
#[case::plain_gotrue_here_by_name(&[("GOTRUE_URL", "http://localhost:9999")], &[])]
#[case::plain_gotrue_of_a_similar_name(
    &[("GOTRUE_URL", "http://localhost.example.com")],
    &["GOTRUE_URL"]
)]
#[case::plain_project(&[("SUPABASE_URL", "http://kong:8000")], &["SUPABASE_URL"])]
#[case::plain_project_and_good_gotrue(
    &[("SUPABASE_URL", "http://kong:8000"), ("GOTRUE_URL", "https://auth")],
    &[]
)]
#[case::plain_redis_by_name(&[("GATEWAY_STORE", "redis://redis")], &["GATEWAY_STORE"])]
#[case::plain_redis_of_another_domain(
    &[("GATEWAY_STORE", "redis://localhost.example.com:6380")],
    &["GATEWAY_STORE"]
)]
#[case::plain_redis_by_address(&[("GATEWAY_STORE", "redis://10.0.0.1")], &["GATEWAY_STORE"])]
#[case::plain_redis_by_ipv6(&[("GATEWAY_STORE", "redis://[2001:db8::1]")], &["GATEWAY_STORE"])]
#[case::plain_redis_here(&[("GATEWAY_STORE", "redis://127.0.0.1:6379/1")], &[])]
#[case::plain_redis_here_by_ipv6(&[("GATEWAY_STORE", "redis://[::1]")], &[])]
#[case::plain_redis_here_by_name(&[("GATEWAY_STORE", "redis://localhost")], &[])]
#[case::encrypted_redis(&[("GATEWAY_STORE", "rediss://redis.example.com")], &[])]
#[case::exposed_admin_listener(
    &[("GATEWAY_ADMIN_BIND", "0.0.0.0:9090")],
    &["GATEWAY_ADMIN_BIND"]
)]
#[case::admin_listener_of_an_interface(
    &[("GATEWAY_ADMIN_BIND", "10.0.0.1:9090")],
    &["GATEWAY_ADMIN_BIND"]
)]
#[case::admin_listener_on_loopback(&[("GATEWAY_ADMIN_BIND", "[::1]:9090")], &[])]
#[case::open_socket(
    &[("GATEWAY_BIND", "unix:/run/a"), ("GATEWAY_SOCKET_MODE", "0666")],
    &["GATEWAY_SOCKET_MODE"]
)]
#[case::open_admin_socket(
    &[("GATEWAY_ADMIN_BIND", "unix:/run/a"), ("GATEWAY_SOCKET_MODE", "0602")],
    &["GATEWAY_SOCKET_MODE"]
)]
#[case::sockets(&[("GATEWAY_BIND", "unix:/run/a"), ("GATEWAY_ADMIN_BIND", "unix:/run/b")], &[])]
#[case::no_socket(&[("GATEWAY_SOCKET_MODE", "0666")], &[])]
#[case::no_admin_listener(&[("GATEWAY_ADMIN_BIND", "off")], &[])]
#[case::any_proxy(&[("GATEWAY_TRUSTED_PROXIES", "0.0.0.0/0")], &["GATEWAY_TRUSTED_PROXIES"])]
#[case::any_proxy_of_ipv6(&[("GATEWAY_TRUSTED_PROXIES", "::/0")], &["GATEWAY_TRUSTED_PROXIES"])]
#[case::any_proxy_in_two_halves(
    &[("GATEWAY_TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1")],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::all_networks_but_one(
    &[(
        "GATEWAY_TRUSTED_PROXIES",
        "1.0.0.0/8,2.0.0.0/7,4.0.0.0/6,8.0.0.0/5,16.0.0.0/4,32.0.0.0/3,64.0.0.0/2,128.0.0.0/1"
    )],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::half_of_all_proxies(
    &[("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/1")],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::any_public_proxy_of_ipv6(
    &[("GATEWAY_TRUSTED_PROXIES", "2000::/3")],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::a_network_of_a_seven_bit_prefix(
    &[("GATEWAY_TRUSTED_PROXIES", "12.0.0.0/7")],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::a_network_of_a_fifteen_bit_ipv6_prefix(
    &[("GATEWAY_TRUSTED_PROXIES", "2600::/15")],
    &["GATEWAY_TRUSTED_PROXIES"]
)]
#[case::private_proxies(
    &[(
        "GATEWAY_TRUSTED_PROXIES",
        "10.0.0.0/8,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10,::1"
    )],
    &[]
)]
#[case::proxies_of_a_large_network(&[("GATEWAY_TRUSTED_PROXIES", "12.0.0.0/8,2600::/16")], &[])]
#[case::some_proxies(&[("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8")], &[])]
#[case::no_proxy_on_all_interfaces(&[("PORT", "8080")], &["GATEWAY_TRUSTED_PROXIES"])]
#[case::plain_origin(
    &[("GATEWAY_ALLOWED_ORIGINS", "https://a.co,http://a.co")],
    &["GATEWAY_ALLOWED_ORIGINS"]
)]
#[case::plain_origin_of_a_plain_project(
    &[("GATEWAY_ALLOWED_ORIGINS", "http://a.co"), ("SUPABASE_URL", "http://localhost")],
    &[]
)]
#[case::https_origin(&[("GATEWAY_ALLOWED_ORIGINS", "https://a.co")], &[])]
#[case::plain_cookies(&[("GATEWAY_COOKIE_SECURE", "false")], &["GATEWAY_COOKIE_SECURE"])]
#[case::plain_cookies_of_a_plain_project(
    &[("GATEWAY_COOKIE_SECURE", "false"), ("SUPABASE_URL", "http://localhost")],
    &[]
)]
#[case::short_lifetime(
    &[("GATEWAY_MAX_TOKEN_LIFETIME", "59s")],
    &["GATEWAY_MAX_TOKEN_LIFETIME"]
)]
#[case::a_minute(&[("GATEWAY_MAX_TOKEN_LIFETIME", "1m")], &[])]
#[case::public_suffix(&[("GATEWAY_COOKIE_DOMAINS", "a.co.uk,CO.UK")], &["GATEWAY_COOKIE_DOMAINS"])]
#[case::public_suffix_of_a_host(
    &[("GATEWAY_COOKIE_DOMAINS", ".vercel.app")],
    &["GATEWAY_COOKIE_DOMAINS"]
)]
#[case::own_domains(&[("GATEWAY_COOKIE_DOMAINS", "example.com,a.vercel.app,internal")], &[])]
#[case::short_drain(&[("GATEWAY_DRAIN_TIMEOUT", "4s")], &["GATEWAY_DRAIN_TIMEOUT"])]
#[case::small_budget(
    &[("GATEWAY_SET_COOKIE_BUDGET", "256"), ("GATEWAY_COOKIE_DOMAINS", "example.com")],
    &["GATEWAY_SET_COOKIE_BUDGET"]
)]
fn only_weak_settings_warn(#[case] given: &[(&str, &str)], #[case] variables: &[&str]) {
    let usual = [SECRET, STORE].into_iter();
    let usual = usual.filter(|(variable, _)| given.iter().all(|(given, _)| given != variable));
    let all: Vec<_> = usual.chain(given.iter().copied()).collect();
    let warnings = parse(&all).warnings();
    let warned: Vec<_> = warnings.iter().map(|warning| warning.variable).collect();
    assert_eq!(warned, variables);
    for (variable, value) in all.iter().filter(|(variable, _)| variable.starts_with(SECRET.0)) {
        assert!(!format!("{warnings:?}").contains(value), "{variable}");
    }
}

#[test]
fn a_missing_secret_and_a_store_in_memory_warn() {
    let warned: Vec<_> = parse(&[]).warnings().iter().map(|warning| warning.variable).collect();
    assert_eq!(warned, ["GATEWAY_SECRET", "GATEWAY_STORE"]);
}

/// An issuer that follows from no URL of the configuration.
const OTHER_ISSUER: &str = "https://auth.example.com/auth/v1";

#[rstest]
#[case::default_issuer(None, Some("https://abc.supabase.co/auth/v1"), None)]
#[case::url_as_issuer(None, Some("https://abc.supabase.co"), None)]
#[case::no_issuer(None, None, None)]
#[case::issuer_of_another_url(None, Some(OTHER_ISSUER), Some("SUPABASE_URL"))]
#[case::listed_issuer(
    Some("https://a.co,https://auth.example.com/auth/v1"),
    Some(OTHER_ISSUER),
    None
)]
#[case::issuer_that_is_not_listed(
    Some("https://a.co"),
    Some(OTHER_ISSUER),
    Some("GATEWAY_JWT_ISSUER")
)]
#[case::default_issuer_that_is_not_listed(
    Some("https://a.co"),
    Some("https://abc.supabase.co/auth/v1"),
    Some("GATEWAY_JWT_ISSUER")
)]
#[case::none_alone_beside_an_issuer(Some("none"), Some(OTHER_ISSUER), Some("GATEWAY_JWT_ISSUER"))]
#[case::list_and_no_issuer(Some("https://a.co"), None, Some("GATEWAY_JWT_ISSUER"))]
#[case::list_with_none_and_no_issuer(Some("https://a.co,none"), None, None)]
fn an_issuer_of_gotrue_that_does_not_fit_the_configuration_warns(
    #[case] list: Option<&str>,
    #[case] published: Option<&str>,
    #[case] variable: Option<&str>,
) {
    let given: Vec<_> = list.map(|list| ("GATEWAY_JWT_ISSUER", list)).into_iter().collect();
    let supabase = parse(&given).supabase;
    let warning = supabase.issuer_warning(published);
    assert_eq!(warning.as_ref().map(|warning| warning.variable), variable, "{warning:?}");
    if let (Some(warning), Some(published)) = (&warning, published) {
        assert!(warning.message.contains(published), "{warning}");
    }
    let answer = PublishedIssuer::from(published.map(str::to_owned));
    assert_eq!(answer.warning(&supabase), warning);
    assert_eq!(PublishedIssuer::Unknown.warning(&supabase), None, "GoTrue has not answered");
}

#[rstest]
#[case::old_secret(&[("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef")], true, true)]
#[case::needed_secret(&[("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef")], false, false)]
#[case::missing_secret(&[], false, true)]
#[case::keys_alone(&[], true, false)]
#[case::unused_secret(
    &[
        ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("GATEWAY_JWT_ALGORITHMS", "ES256"),
    ],
    true,
    false
)]
#[case::neither_secret_nor_keys_of_the_algorithms(
    &[("GATEWAY_JWT_ALGORITHMS", "ES256")],
    false,
    false
)]
fn a_secret_fits_the_key_set_or_warns(
    #[case] given: &[(&str, &str)],
    #[case] has_keys: bool,
    #[case] warned: bool,
) {
    let warning = parse(given).supabase.secret_warning(has_keys);
    assert_eq!(warning.is_some(), warned, "{warning:?}");
}

#[rstest]
#[case::none(&[], None)]
#[case::empty(&[("HTTPS_PROXY", "")], None)]
#[case::set(&[("HTTPS_PROXY", "http://user:password@proxy")], Some("HTTPS_PROXY"))]
#[case::set_in_small_letters(&[("https_proxy", "http://proxy")], Some("https_proxy"))]
fn an_unused_proxy_of_the_environment_warns(
    #[case] environment: &[(&str, &str)],
    #[case] variable: Option<&str>,
) {
    let value = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    };
    let warning = unused_proxies_of(value);
    assert_eq!(warning.as_ref().map(|warning| warning.variable), variable);
    assert!(!format!("{warning:?}").contains("password"));
}

#[test]
fn partitioned_deletions_need_twice_the_budget() {
    let plain = parse(&[]).cookies.least_set_cookie_bytes();
    let partitioned = parse(&[("GATEWAY_COOKIE_PARTITIONED", "true")]);
    let partitioned = partitioned.cookies.least_set_cookie_bytes();
    assert_eq!(partitioned, 2 * plain + 3 * "; Partitioned".len());
    let line = "Set-Cookie: sb-abc-auth-token=; Max-Age=0; Path=/; SameSite=Lax; Secure\r\n";
    let chunk = line.len() + ".0".len();
    let csrf = line.len() - "sb-abc-auth-token".len() + "sb-csrf-token".len();
    assert_eq!(plain, line.len() + chunk + csrf);
}
