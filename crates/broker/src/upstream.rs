//! Where a model's provider is.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use midwatch_core::input::InvalidInput;

use crate::address::{is_metadata_name, never_dialled};
use crate::grant::WireApi;
use crate::proxy::host::{Host, Target};

/// The longest base URL in bytes.
const URL_MAX: usize = 2048;

/// A provider's base URL: `https`, or plain `http` on this machine; perhaps with a path. Its host
/// may be on a private network or on this machine, never a metadata service or link-local.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    scheme: Scheme,
    /// Host in its only spelling, and the port where one was given.
    authority: Authority,
    /// Empty, or begins with `/` and does not end with one.
    prefix: String,
}

impl Upstream {
    /// Where ChatGPT logins of codex go.
    pub const CHATGPT: &'static str = "https://chatgpt.com/backend-api/codex";

    /// Reads a base URL as the CLIs' own variables have it: for OpenAI with the `/v1`, for
    /// Anthropic without it.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let bad = |rule: &str, fix: &str| {
            // A URL may hold a password, so only a clean one is repeated.
            if text.contains('@') {
                InvalidInput::unshown("base URL", rule, fix)
            } else {
                InvalidInput::new("base URL", text, rule, fix)
            }
        };
        let example = "give one such as https://api.example.com/v1";
        if text.len() > URL_MAX {
            return Err(bad(&format!("is over {URL_MAX} bytes"), example));
        }
        if text.contains('@') {
            return Err(bad(
                "holds a user name or password",
                "give credentials by their variables",
            ));
        }
        if text.contains('#') {
            return Err(bad("holds a fragment", example));
        }
        let uri: Uri = text.parse().map_err(|_| bad("is not a URL", example))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(bad("has no scheme or host", example));
        };
        let default_port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
        let target = Target::parse(authority.as_str(), Some(default_port))
            .map_err(|error| bad(&format!("has a host that {error}"), example))?;
        may_be_asked(&target.host).map_err(|(rule, fix)| bad(&rule, &fix))?;
        if !has_one_spelling(authority.host(), &target.host) {
            let fix = format!("write it as {}", target.host);
            return Err(bad("has an address in an unusual spelling", &fix));
        }
        if *scheme == Scheme::HTTP {
            if !target.host.is_loopback() {
                return Err(bad(
                    "is plain http to another machine, which would show the credential",
                    "use https",
                ));
            }
        } else if *scheme != Scheme::HTTPS {
            return Err(bad("has a scheme that is not https", "use https"));
        }
        if uri.query().is_some() {
            return Err(bad("holds a query", example));
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let odd = prefix.split('/').skip(1).any(|part| matches!(part, "" | "." | ".."));
        if odd || !prefix.bytes().all(|c| c.is_ascii_alphanumeric() || b"/-._~:".contains(&c)) {
            return Err(bad("has an odd path", example));
        }
        Ok(Self { scheme: scheme.clone(), authority: authority.clone(), prefix })
    }

    /// The provider's public address.
    pub fn default_for(api: WireApi) -> Self {
        let (authority, prefix) = match api {
            WireApi::Anthropic => ("api.anthropic.com", ""),
            WireApi::OpenAi => ("api.openai.com", "/v1"),
            WireApi::Gemini => ("generativelanguage.googleapis.com", ""),
        };
        Self {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static(authority),
            prefix: prefix.to_owned(),
        }
    }

    /// The host and port as written.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The address of a path below the base. The path and query must be canonical.
    pub(crate) fn at(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let mut text = format!("{}{path}", self.prefix);
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::try_from(text)?)
            .build()
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// The rule that keeps a host from ever being a provider or a proxy, with what to do.
pub(crate) fn may_be_asked(host: &Host) -> Result<(), (String, String)> {
    let fix = "name the provider's or gateway's own host".to_owned();
    match host {
        Host::Name(name) if is_metadata_name(name) => {
            Err(("is a cloud's metadata service, which is never asked".into(), fix))
        }
        Host::Name(_) => Ok(()),
        Host::Address(address) => match never_dialled(*address) {
            Some(range) => {
                let rule = format!(
                    "has an address in {range}, where metadata services are; it is never asked"
                );
                Err((rule, fix))
            }
            None => Ok(()),
        },
    }
}

/// Whether a host is written as it will be dialled; the case of letters aside.
fn has_one_spelling(written: &str, host: &Host) -> bool {
    written.eq_ignore_ascii_case(&host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_may_have_a_path() {
        for (text, at) in [
            ("https://api.example.com", "https://api.example.com/m?a=b"),
            ("https://api.example.com/", "https://api.example.com/m?a=b"),
            ("https://h:8443/prefix/v1/", "https://h:8443/prefix/v1/m?a=b"),
            ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x/m?a=b"),
            ("http://[::1]:9", "http://[::1]:9/m?a=b"),
        ] {
            let upstream = Upstream::parse(text).unwrap();
            assert_eq!(upstream.at("/m", Some("a=b")).unwrap().to_string(), at);
        }
    }

    #[test]
    fn bad_bases_are_refused_and_passwords_not_repeated() {
        for bad in [
            "",
            "api.example.com",
            "ftp://h",
            "http://h",
            "http://10.0.0.1",
            "https://h/a/../b",
            "https://h//a",
            "https://h/%2e%2e",
            "https://h?x",
            "https://h#x",
            "https://0x7f.1",
            "https://h:0",
            "http://localhost.example.com",
        ] {
            assert!(Upstream::parse(bad).is_err(), "{bad}");
        }
        let error = Upstream::parse("https://user:s3cret@h").unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn metadata_and_odd_spellings_of_addresses_are_refused_with_the_rule_and_a_fix() {
        for (text, rule) in [
            ("https://169.254.169.254/", "169.254.0.0/16"),
            ("http://169.254.169.254/", "169.254.0.0/16"),
            ("https://[fe80::1]/", "fe80::/10"),
            ("https://[fd00:ec2::254]", "fd00:ec2::254"),
            ("https://[64:ff9b::a9fe:a9fe]", "169.254.0.0/16"),
            ("https://[::ffff:169.254.169.254]", "169.254.0.0/16"),
            ("https://0.0.0.0:8443", "0.0.0.0/8"),
            ("https://100.100.100.200", "100.100.100.200"),
            ("https://metadata.google.internal/v1", "metadata service"),
            ("https://Metadata.goog", "metadata service"),
            ("https://0x7f.1/", "four plain decimal numbers"),
            ("https://2130706433", "four plain decimal numbers"),
            ("https://0177.0.0.1", "four plain decimal numbers"),
            ("https://127.1", "four plain decimal numbers"),
            ("https://[::ffff:10.0.0.1]", "unusual spelling; write it as 10.0.0.1"),
            ("https://[2001:db8:0:0::1]", "unusual spelling; write it as [2001:db8::1]"),
            ("https://llm.example.", "a dot at its end"),
        ] {
            let error = Upstream::parse(text).unwrap_err().of("ANTHROPIC_BASE_URL").to_string();
            assert!(error.contains(rule), "{error}");
            assert!(error.starts_with(&format!("ANTHROPIC_BASE_URL '{text}'")), "{error}");
        }
        // The controls: what an operator may well have.
        for open in [
            "https://10.1.2.3/anthropic",
            "https://192.168.0.7:8443",
            "https://[fd00::7]",
            "https://127.0.0.1:9",
            "http://127.0.0.1:9",
            "http://localhost:4000",
            "https://LLM.example.com",
        ] {
            assert!(Upstream::parse(open).is_ok(), "{open}");
        }
        let long = format!("https://169.254.169.254/{}", "x".repeat(900));
        assert!(Upstream::parse(&long).unwrap_err().to_string().len() < 300);
    }
}
