//! The cookies that a browser sends to the gateway, and what its answers do to them.

use crate::cookie::SetCookie;

/// The cookies visible at the gateway's paths, in the order in which they are sent.
#[derive(Debug)]
pub struct Jar(Vec<Stored>);

#[derive(Debug)]
struct Stored {
    name: Vec<u8>,
    value: Vec<u8>,
    domain: Option<String>,
}

impl Jar {
    /// Of these names and values at the path `/`: the first of a name is host-only, each further one at
    /// the next of `domains`. Those of which there are more are left out, a browser cannot hold them.
    #[must_use]
    pub fn of(pairs: &[(&[u8], &[u8])], domains: &[String]) -> Self {
        let mut jar: Vec<Stored> = Vec::new();
        for (name, value) in pairs {
            let before = jar.iter().filter(|stored| stored.name == *name).count();
            let host_only = name.to_ascii_lowercase().starts_with(b"__host-");
            let domain = match before.checked_sub(1) {
                None => None,
                Some(index) if index < domains.len() && !host_only => Some(domains[index].clone()),
                Some(_) => continue,
            };
            jar.push(Stored { name: name.to_vec(), value: value.to_vec(), domain });
        }
        Self(jar)
    }

    /// The `Cookie` header.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let pairs =
            self.0.iter().map(|stored| [stored.name.as_slice(), b"=", &stored.value].concat());
        pairs.collect::<Vec<_>>().join(b"; ".as_slice())
    }

    /// Each name as often as it is there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|stored| std::str::from_utf8(&stored.name).ok())
    }

    /// Takes a deletion, as a browser does that came by https.
    pub fn take(&mut self, deletion: &SetCookie) {
        // A partition's cookies are others, even of the same name.
        if deletion.partitioned || deletion.path != "/" {
            return;
        }
        self.0.retain(|stored| {
            stored.name != deletion.name.as_bytes() || stored.domain != deletion.domain
        });
    }
}
