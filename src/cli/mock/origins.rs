//! The origins whose pages may call the gateway of `mock --gateway`. A browser lets no other page read its answers.

use std::collections::BTreeSet;

use gotrue_mock::Settings;
use url::Url;

/// The default ports of development servers: Next.js, Vite and its preview, Angular, Expo, and those of other
/// languages.
const PORTS: [u16; 7] = [3000, 4173, 4200, 5173, 8000, 8080, 8081];

/// The value of `GATEWAY_ALLOWED_ORIGINS`: the origins of `--site-url` and of each `--redirect-url`, and those of
/// development servers on this machine.
pub(super) fn allowed_origins(settings: &Settings) -> String {
    let addresses = settings.redirect_prefixes.iter().chain([&settings.site_url]);
    let given = addresses
        .filter_map(|address| Url::parse(address).ok())
        .map(|url| url.origin())
        .filter(url::Origin::is_tuple)
        .map(|origin| origin.ascii_serialization());
    let hosts = ["localhost", "127.0.0.1"];
    let local =
        hosts.into_iter().flat_map(|host| PORTS.map(|port| format!("http://{host}:{port}")));
    given.chain(local).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}
