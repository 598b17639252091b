//! The host of a registry's address.

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    /// A server, as `host` or `host:port`.
    Host(String),
    /// The same, with a name and password in the address.
    WithSecret(String),
    /// A folder of this machine.
    Local,
    /// Nothing of the kind.
    Odd,
}

/// Reads `https://host:port/path` and cargo's `sparse+https://..`.
pub(super) fn host(text: &str) -> Read {
    let text = text.trim();
    let plain = text.strip_prefix("sparse+").or(text.strip_prefix("registry+")).unwrap_or(text);
    let Some((scheme, rest)) = plain.split_once("://") else {
        return if text.starts_with('/') { Read::Local } else { Read::Odd };
    };
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        "file" => return Read::Local,
        _ => return Read::Odd,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    let named = midwatch_broker::Registries::parse([host.as_str()]).is_ok();
    match (named, user) {
        (false, _) => Read::Odd,
        (true, None) => Read::Host(host),
        (true, Some(_)) => Read::WithSecret(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_and_passwords_noticed() {
        for (text, expected) in [
            ("https://registry.npmjs.org/", Read::Host("registry.npmjs.org".into())),
            ("sparse+https://Index.crates.io/", Read::Host("index.crates.io".into())),
            ("https://a.example:443/x", Read::Host("a.example".into())),
            ("http://nexus:8081/repository", Read::Host("nexus:8081".into())),
            ("https://u:secret@a.example/simple", Read::WithSecret("a.example".into())),
            ("file:///srv/x", Read::Local),
            ("/opt/wheels", Read::Local),
            ("direct", Read::Odd),
            ("https://*.com/", Read::Odd),
            ("ftp://x/", Read::Odd),
            ("", Read::Odd),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }
}
