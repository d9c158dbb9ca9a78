//! The cookies that a browser sends to the gateway, and how responses change them.

use crate::cookie::SetCookie;

/// The cookies visible at the gateway's paths, in the order in which they are sent.
#[derive(Debug)]
pub struct CookieJar(Vec<Stored>);

#[derive(Debug)]
struct Stored {
    name: Vec<u8>,
    value: Vec<u8>,
    domain: Option<String>,
}

impl CookieJar {
    /// Stores these names and values with the path `/`. The first cookie of a name is host-only; each
    /// further one has the next of `domains`. More cookies of one name cannot exist in a browser and are
    /// ignored.
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

    /// The `Cookie` header.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let pairs =
            self.0.iter().map(|stored| [stored.name.as_slice(), b"=", &stored.value].concat());
        pairs.collect::<Vec<_>>().join(b"; ".as_slice())
    }

    /// The names of all cookies, also repeated ones.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|stored| std::str::from_utf8(&stored.name).ok())
    }

    /// Applies a deletion, as a browser does over https.
    pub fn delete(&mut self, deletion: &SetCookie) {
        // A partitioned cookie is another cookie, even with the same name.
        if deletion.partitioned || deletion.path != "/" {
            return;
        }
        self.0.retain(|stored| {
            stored.name != deletion.name.as_bytes() || stored.domain != deletion.domain
        });
    }
}
