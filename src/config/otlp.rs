//! The address of a collector of spans.

use std::fmt;
use std::str::FromStr;

use tonic::transport::Uri;

/// An `http://` URL of a host and port without a path, such as `http://127.0.0.1:4317`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpEndpoint(Uri);

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// URL of a host and port")]
pub struct NotAnEndpoint;

impl FromStr for OtlpEndpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| NotAnEndpoint)?;
        // OTLP over gRPC has fixed paths; with one given, the collector was meant to be spoken to over HTTP.
        let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        if plain && uri.port_u16().is_some() { Ok(Self(uri)) } else { Err(NotAnEndpoint) }
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "http://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_url_of_host_and_port_is_taken() {
        for good in ["http://127.0.0.1:4317", "http://collector.example:4317", "http://[::1]:4317"] {
            assert_eq!(good.parse::<OtlpEndpoint>().unwrap().to_string(), good);
        }
        assert_eq!("http://a:1/".parse::<OtlpEndpoint>().unwrap().to_string(), "http://a:1");
        for bad in ["", "127.0.0.1:4317", "https://a:4317", "http://a", "http://a:4318/v1/traces", "http://a:x", "a b"]
        {
            assert!(bad.parse::<OtlpEndpoint>().is_err(), "{bad}");
        }
    }
}
