//! Variables that Kubernetes sets in every pod for every Service, those called `lipsyncd` or `lipsyncd-...` included.

use std::ffi::OsStr;

/// Whether Kubernetes made this variable: `key` is its name in lower case, without `LIPSYNCD_`.
///
/// They are `{SVC}_SERVICE_HOST`, `{SVC}_SERVICE_PORT`, one more for each named port, and those of Docker's links: `{SVC}_PORT` with a URL,
/// and `{SVC}_PORT_{NUMBER}_{PROTOCOL}` with three endings (Kubernetes' documentation, "Service", "Environment variables").
pub(super) fn is_service_link(key: &str, value: &OsStr) -> bool {
    // What is left of a service's name, if anything is, ends before the underscore.
    let key = format!("_{key}");
    let is_of_service = ["_service_host", "_service_port"].iter().any(|end| key.ends_with(end));
    let is_url = || value.to_str().is_some_and(|value| value.contains("://"));
    is_of_service
        || key.contains("_service_port_")
        || (key.ends_with("_port") && is_url())
        || key.match_indices("_port_").any(|(at, found)| is_port_and_protocol(&key[at + found.len()..]))
}

/// `50053_tcp`, with or without an ending.
fn is_port_and_protocol(text: &str) -> bool {
    let mut parts = text.split('_');
    let is_number = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    is_number && matches!(parts.next(), Some("tcp" | "udp" | "sctp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_told_from_what_people_set() {
        let url = "tcp://10.0.0.11:50053";
        let links = [
            ("service_host", "10.0.0.11"),
            ("service_port", "50053"),
            ("service_port_grpc", "50053"),
            ("port", url),
            ("port_50053_tcp", url),
            ("port_50053_tcp_proto", "tcp"),
            ("port_50053_tcp_port", "50053"),
            ("port_50053_tcp_addr", "10.0.0.11"),
            ("metrics_service_host", "10.0.0.12"),
            ("metrics_port", "tcp://10.0.0.12:9090"),
            ("metrics_port_9090_tcp_addr", "10.0.0.12"),
        ];
        for (key, value) in links {
            assert!(is_service_link(key, OsStr::new(value)), "{key}={value}");
        }
        for (key, value) in
            [("port", "50053"), ("metrics_port", "9090"), ("listen", url), ("port_range", "1"), ("service", "")]
        {
            assert!(!is_service_link(key, OsStr::new(value)), "{key}={value}");
        }
    }
}
