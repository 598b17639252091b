//! Whether a run's egress mode names a target. Addresses are checked later, at the dial.

use crate::address::is_metadata_name;
use crate::egress::Egress;
use crate::proxy::host::{Host, Target};
use crate::refusal::{No, RefusalReason};

/// The ports of the web.
const WEB_PORTS: [u16; 2] = [80, 443];

/// Says yes, or why not and what to do.
pub(super) fn permit(egress: &Egress, target: &Target) -> Result<(), No> {
    let Target { host, port } = target;
    if let Host::Name(name) = host
        && is_metadata_name(name)
    {
        return Err((RefusalReason::Address, "cloud metadata is never reachable".into()));
    }
    match egress {
        Egress::None => {
            Err((RefusalReason::NoEgress, "this run has no network (egress: none)".into()))
        }
        Egress::Registries(list) => {
            let web = WEB_PORTS.contains(port);
            if list.has_port(host, *port) || (web && list.has_default_ports(host)) {
                Ok(())
            } else if list.has_host(host) {
                let text = "the registry is allowed, but not with this port";
                Err((RefusalReason::Port, text.into()))
            } else {
                let text = "not one of the registries that this machine's package clients use \
                            (egress: registries); name it in the profile, or use --egress public";
                Err((RefusalReason::NotListed, text.into()))
            }
        }
        Egress::Public => {
            if !WEB_PORTS.contains(port) {
                let text = "only ports 80 and 443 (egress: public)";
                return Err((RefusalReason::Port, text.into()));
            }
            match host {
                // A resolver may complete such a name with the site's own domain.
                Host::Name(name) if !name.contains('.') => {
                    let text = "a name without a dot is a local one (egress: public)";
                    Err((RefusalReason::Address, text.into()))
                }
                Host::Name(_) | Host::Address(_) => Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Registries;

    fn judge(egress: &Egress, target: &str) -> Result<(), RefusalReason> {
        permit(egress, &Target::parse(target, None).unwrap()).map_err(|no| no.0)
    }

    #[test]
    fn each_mode_names_its_targets() {
        use RefusalReason::{Address, NoEgress, NotListed, Port};
        let list = Registries::parse(["registry.npmjs.org", "nexus.example:8081", "9.9.9.9"]);
        let registries = Egress::Registries(list.unwrap());
        for (egress, target, expected) in [
            (&Egress::None, "registry.npmjs.org:443", Err(NoEgress)),
            (&registries, "registry.npmjs.org:443", Ok(())),
            (&registries, "REGISTRY.npmjs.org:80", Ok(())),
            (&registries, "registry.npmjs.org:22", Err(Port)),
            (&registries, "nexus.example:8081", Ok(())),
            (&registries, "nexus.example:443", Err(Port)),
            (&registries, "x.registry.npmjs.org:443", Err(NotListed)),
            (&registries, "registry.npmjs.org.evil.example:443", Err(NotListed)),
            (&registries, "9.9.9.9:443", Ok(())),
            (&registries, "8.8.8.8:443", Err(NotListed)),
            (&Egress::Public, "example.com:443", Ok(())),
            (&Egress::Public, "8.8.8.8:80", Ok(())),
            (&Egress::Public, "example.com:8443", Err(Port)),
            (&Egress::Public, "example.com:22", Err(Port)),
            (&Egress::Public, "localhost:80", Err(Address)),
            (&Egress::Public, "metadata.google.internal:80", Err(Address)),
        ] {
            assert_eq!(judge(egress, target), expected, "{target} {}", egress.as_str());
        }
    }
}
