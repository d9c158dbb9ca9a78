//! The cookies that a browser sends to the gateway, and how responses change them.

use crate::cookie::SetCookie;

/// The cookies that a browser sends to the gateway's paths, in the order in which it sends them.
#[derive(Debug)]
pub struct CookieJar(Vec<Stored>);

#[derive(Debug)]
struct Stored {
    name: Vec<u8>,
    value: Vec<u8>,
    domain: Option<String>,
}

impl CookieJar {
    /// Stores these names and values with the path `/`. The first cookie of a name is host-only; each further
    /// one has the next of `domains`. When no domain is left, further cookies of that name are ignored,
    /// because a browser cannot have them.
    #[must_use]
    pub fn from_cookies(pairs: &[(&[u8], &[u8])], domains: &[String]) -> Self {
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

    /// The value of the `Cookie` header that the browser sends.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let pairs =
            self.0.iter().map(|stored| [stored.name.as_slice(), b"=", &stored.value].concat());
        pairs.collect::<Vec<_>>().join(b"; ".as_slice())
    }

    /// The names of all cookies; a name is repeated if several cookies have it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|stored| std::str::from_utf8(&stored.name).ok())
    }

    /// Removes the cookies that the `Set-Cookie` line `deletion` deletes in a browser over https.
    pub fn delete(&mut self, deletion: &SetCookie) {
        // A `Partitioned` line deletes only a partitioned cookie, and this jar has none.
        if deletion.partitioned || deletion.path != "/" {
            return;
        }
        self.0.retain(|stored| {
            stored.name != deletion.name.as_bytes() || stored.domain != deletion.domain
        });
    }
}
