//! The HTTP proxy of the network that the user is in, where the environment names one.

use midwatch_api::task::ProxyRef;
use midwatch_broker::{OperatorProxy, ProxyServer};
use secrecy::SecretString;

use super::Finding;
use crate::environment::Environment;
use crate::problem::Problem;
use crate::wire::proxy::ProxyText;

/// As curl, git and Python read them: lower case first.
const TLS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const PLAIN: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const EXEMPT: [&str; 2] = ["no_proxy", "NO_PROXY"];
/// Says that only the proxy can resolve names of the outside.
const RESOLVES: &str = "MIDWATCH_PROXY_RESOLVES";

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// What the order says of it.
    pub(crate) reference: ProxyRef,
    /// What the server keeps.
    pub(crate) secret: SecretString,
    /// The same, to dial with.
    pub(crate) proxy: OperatorProxy,
    exempt: String,
    resolves: bool,
}

/// The proxy that the user's variables name. One that cannot be used is an error: nothing else
/// would leave this network.
pub(crate) fn find(environment: &Environment) -> Result<Option<Found>, Problem> {
    let of = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, environment.text(name)?)))
    };
    let (tls, plain) = (of(TLS), of(PLAIN));
    let mut servers = Vec::new();
    for (name, text) in [tls, plain].into_iter().flatten() {
        let server = ProxyServer::parse(text).map_err(|error| error.of(name))?;
        servers.push(server.target().to_string());
    }
    if servers.is_empty() {
        return Ok(None);
    }
    servers.dedup();
    let exempt = of(EXEMPT).map_or("", |(_, text)| text);
    let resolves = match environment.text(RESOLVES) {
        None | Some("0") => false,
        Some("1") => true,
        Some(other) => {
            return Err(Problem::usage(
                RESOLVES,
                other,
                "is not 0 or 1",
                "set it to 1 or unset it",
            ));
        }
    };
    let owned = |found: Option<(&str, &str)>| found.map(|(_, text)| text.to_owned());
    let text =
        ProxyText { https: owned(tls), http: owned(plain), no_proxy: exempt.to_owned(), resolves };
    let proxy = text.proxy()?;
    let secret = text.text().map_err(|error| Problem::internal(error.to_string()))?;
    let reference = ProxyRef { id: String::new(), servers };
    Ok(Some(Found { reference, secret, proxy, exempt: exempt.to_owned(), resolves }))
}

impl Found {
    pub(crate) fn finding(&self) -> Finding {
        let mut text = self.reference.servers.join(" and ");
        if !self.exempt.is_empty() {
            text.push_str(", not for ");
            text.push_str(&self.exempt);
        }
        if self.resolves {
            text.push_str("; it resolves names that this machine cannot, unchecked");
        }
        Finding::new("proxy", text)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::environment::tests::environment;

    #[test]
    fn the_variables_of_other_tools_are_read_and_passwords_not_said() {
        let home = tempfile::tempdir().unwrap();
        let find = |variables: &[(&str, &str)]| find(&environment(home.path(), variables));
        assert!(find(&[("NO_PROXY", "x")]).unwrap().is_none());
        let upper = ("HTTPS_PROXY", "http://u:canary@upper.example:1");
        let found = find(&[upper, ("NO_PROXY", ".corp")]).unwrap().unwrap();
        assert_eq!(found.reference.servers, ["upper.example:1"]);
        let said = found.finding().text;
        assert_eq!(said, "upper.example:1, not for .corp");
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        assert!(found.secret.expose_secret().contains("canary"));
        let both = [upper, ("https_proxy", "lower.example:2"), ("HTTP_PROXY", "plain.example")];
        let found = find(&both).unwrap().unwrap();
        assert_eq!(found.reference.servers, ["lower.example:2", "plain.example:80"]);
        for (name, value) in [
            ("HTTPS_PROXY", "socks5://u:canary@x"),
            ("http_proxy", "https://x"),
            ("https_proxy", "http://169.254.169.254"),
            ("HTTP_PROXY", "http://0x7f.1"),
        ] {
            let problem = find(&[(name, value)]).unwrap_err();
            assert!(problem.exit == 2 && problem.message.starts_with(name), "{problem:?}");
            assert!(!problem.message.contains("canary"), "{problem:?}");
        }
        let problem = find(&[upper, (RESOLVES, "yes")]).unwrap_err();
        assert!(problem.message.contains(RESOLVES), "{problem:?}");
        assert!(
            find(&[upper, (RESOLVES, "1")]).unwrap().unwrap().finding().text.contains("unchecked")
        );
    }
}
