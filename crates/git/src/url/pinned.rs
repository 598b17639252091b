//! The addresses of a host, looked up once and checked, so that git dials no other ones.

use std::net::{IpAddr, ToSocketAddrs};

use midwatch_core::input::InvalidInput;

use super::{FIELD, RepositoryUrl, host};
use crate::remote::RemoteError;

/// A host's name and the public addresses that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    host: String,
    port: u16,
    explicit_port: bool,
    addresses: Vec<IpAddr>,
}

impl Pinned {
    /// Looks a URL's host up; none where the host is an address, which was checked when the URL
    /// was read. One address that is not public refuses the name.
    pub(crate) fn look_up(url: &RepositoryUrl) -> Result<Option<Self>, RemoteError> {
        let literal = url.host.trim_start_matches('[').trim_end_matches(']');
        if literal.parse::<IpAddr>().is_ok() {
            return Ok(None);
        }
        let port = url.port.unwrap_or(url.scheme.default_port());
        let found = (url.host.as_str(), port).to_socket_addrs().map_err(|error| {
            RemoteError::Unreachable(format!("{} was not found: {error}", url.host))
        })?;
        let addresses = found.map(|address| address.ip()).collect();
        Ok(Some(Self::checked(url, port, addresses)?))
    }

    fn checked(
        url: &RepositoryUrl,
        port: u16,
        mut addresses: Vec<IpAddr>,
    ) -> Result<Self, InvalidInput> {
        addresses.sort();
        addresses.dedup();
        for address in &addresses {
            if let Some(kind) = host::refused_kind(*address) {
                let rule = format!("names a host at the {kind} address {address}");
                let fix = "use a public host, or allow private addresses for this repository";
                return Err(InvalidInput::new(FIELD, &url.to_git(), &rule, fix));
            }
        }
        Ok(Self { host: url.host.clone(), port, explicit_port: url.port.is_some(), addresses })
    }

    /// The value of `http.curloptResolve`.
    pub(crate) fn for_curl(&self) -> String {
        let addresses: Vec<String> = self
            .addresses
            .iter()
            .map(|address| match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            })
            .collect();
        format!("{}:{}:{}", self.host, self.port, addresses.join(","))
    }

    /// Options for ssh: where to dial, and under which name the host's key is known. The host
    /// holds nothing that means something to a shell, and brackets are quoted.
    pub(crate) fn for_ssh(&self) -> String {
        let known = if self.explicit_port {
            format!("'[{}]:{}'", self.host, self.port)
        } else {
            self.host.clone()
        };
        match self.addresses.first() {
            Some(address) => format!("-o HostName={address} -o HostKeyAlias={known}"),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::UrlRules;

    fn url(text: &str) -> RepositoryUrl {
        RepositoryUrl::parse(text, UrlRules::default()).unwrap()
    }

    #[test]
    fn one_address_that_is_not_public_refuses_the_name() {
        let checked = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
            Pinned::checked(&url("https://git.example/o/r"), 443, addresses)
        };
        let fine = checked(&["8.8.8.8", "2606:4700::1111", "8.8.8.8"]).unwrap();
        assert_eq!(fine.for_curl(), "git.example:443:8.8.8.8,[2606:4700::1111]");
        for (bad, says) in [
            ("127.0.0.1", "loopback"),
            ("10.1.2.3", "private"),
            ("169.254.169.254", "link-local"),
            ("168.63.129.16", "metadata"),
            ("::ffff:10.0.0.1", "private"),
            ("fd00::1", "private"),
        ] {
            let error = checked(&["8.8.8.8", bad]).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("git.example"), "{bad}: {error}");
        }
    }

    #[test]
    fn ssh_dials_the_address_and_knows_the_key_by_its_name() {
        let pin = |text: &str, port| {
            Pinned::checked(&url(text), port, vec!["8.8.8.8".parse().unwrap()]).unwrap().for_ssh()
        };
        let plain = "-o HostName=8.8.8.8 -o HostKeyAlias=h.example";
        assert_eq!(pin("git@h.example:o/r", 22), plain);
        let port = "-o HostName=8.8.8.8 -o HostKeyAlias='[h.example]:2222'";
        assert_eq!(pin("ssh://git@h.example:2222/o/r", 2222), port);
    }

    #[test]
    fn an_address_is_not_looked_up() {
        assert_eq!(Pinned::look_up(&url("https://8.8.8.8/o/r")).unwrap(), None);
        assert_eq!(Pinned::look_up(&url("https://[2606:4700::1111]/o/r")).unwrap(), None);
    }
}
