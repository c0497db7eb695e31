//! The page of one daemon.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::encode::Encoder;
use super::{avatars, devices, process, sessions};
use crate::rpc::Daemon;

/// Everything there is to say of a daemon, written anew each time it is asked for.
#[derive(Debug)]
pub struct Page {
    registry: Registry,
    daemon: Weak<Daemon>,
}

impl Page {
    /// The page of `daemon`, which it does not keep alive.
    #[must_use]
    pub fn new(daemon: &Arc<Daemon>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Figures(Arc::downgrade(daemon))));
        Self { registry, daemon: Arc::downgrade(daemon) }
    }

    /// Has the devices say how much memory is free now, for [`Self::render`] to tell.
    pub async fn look(&self) {
        if let Some(daemon) = self.daemon.upgrade() {
            daemon.fleet().look().await;
        }
    }

    /// The text of the page, OpenMetrics 1.0.
    ///
    /// # Errors
    /// When a metric cannot be written down, which only its encoder knows the reason of.
    pub fn render(&self) -> Result<String, fmt::Error> {
        // More than the page of a daemon with a dozen avatars takes.
        let mut page = String::with_capacity(32 << 10);
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }

    /// Whether new sessions are let in.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.daemon.upgrade().is_some_and(|daemon| !daemon.is_stopping())
    }
}

struct Figures(Weak<Daemon>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut to = Encoder(encoder);
        if let Some(daemon) = self.0.upgrade() {
            let backend = daemon.fleet().engines()[0].backend().info();
            let facts = [
                ("version", env!("CARGO_PKG_VERSION")),
                ("backend", backend.name),
                ("engine", backend.engine.as_str()),
            ];
            to.info("lipsyncd_build", "What is running", &facts)?;
            sessions::encode(&mut to, &daemon)?;
            devices::encode(&mut to, &daemon)?;
            avatars::encode(&mut to, &daemon)?;
        }
        process::encode(&mut to)
    }
}
