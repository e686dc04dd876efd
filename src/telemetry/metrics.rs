//! The numbers of one gateway, in Prometheus' text format.
//!
//! One [`Metrics`] belongs to one gateway, so that two in one process do not mix. Labels come from configuration and from
//! closed sets, never from a caller's words: a caller cannot make a series.

use std::time::Duration;

use prometheus::{Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use self::money::Money;
use crate::ids::{ProductName, ProviderName};

mod money;

pub use money::{LimitEvent, Missing};

/// Which of the gateway's endpoints was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub &'static str);

/// What one finished call adds to the numbers.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    /// On whose behalf.
    pub product: &'a ProductName,
    /// What was called.
    pub endpoint: Endpoint,
    /// Who served; none where the call never got that far.
    pub provider: Option<&'a ProviderName>,
    /// The status that the caller saw; 499 where the caller hung up.
    pub status: u16,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// What of it the gateway itself took, up to the answer's head.
    pub overhead: Option<Duration>,
}

/// The registry and the handles to what is counted on the request path.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    overhead: HistogramVec,
    first_byte: HistogramVec,
    active_streams: IntGaugeVec,
    upstream_auth_failed: IntCounterVec,
    cut_streams: IntCounterVec,
    fallbacks: IntCounterVec,
    money: Money,
}

/// No provider was involved.
const NO_PROVIDER: &str = "none";

impl Metrics {
    /// An empty set of numbers.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and distinct.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let seconds = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
            600.0,
        ];
        let micro = vec![
            0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0,
        ];
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("llm_gateway_requests_total", "Calls that ended, by the status that the caller saw."),
                &["product", "endpoint", "provider", "status"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "llm_gateway_request_duration_seconds",
                    "From a request's head to the end of its answer.",
                )
                .buckets(seconds.clone()),
                &["product", "endpoint", "provider"],
            )?,
            overhead: HistogramVec::new(
                HistogramOpts::new(
                    "llm_gateway_overhead_seconds",
                    "What the gateway itself took of a call, up to the answer's head.",
                )
                .buckets(micro),
                &["endpoint"],
            )?,
            first_byte: HistogramVec::new(
                HistogramOpts::new(
                    "llm_gateway_upstream_first_byte_seconds",
                    "From the request's sending to the provider's head.",
                )
                .buckets(seconds),
                &["provider"],
            )?,
            active_streams: IntGaugeVec::new(
                Opts::new("llm_gateway_active_streams", "Streams that are open now."),
                &["product"],
            )?,
            upstream_auth_failed: IntCounterVec::new(
                Opts::new(
                    "llm_gateway_upstream_auth_failed_total",
                    "Calls for which a provider refused the gateway's own credential. Any is an alarm.",
                ),
                &["provider"],
            )?,
            cut_streams: IntCounterVec::new(
                Opts::new("llm_gateway_broken_streams_total", "Streams that ended in an error after they had begun."),
                &["product", "provider"],
            )?,
            fallbacks: IntCounterVec::new(
                Opts::new(
                    "llm_gateway_fallbacks_total",
                    "Calls that went on to another model because a provider failed.",
                ),
                &["product", "from", "to"],
            )?,
            money: Money::new()?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.overhead.clone()))?;
        registry.register(Box::new(metrics.first_byte.clone()))?;
        registry.register(Box::new(metrics.active_streams.clone()))?;
        registry.register(Box::new(metrics.upstream_auth_failed.clone()))?;
        registry.register(Box::new(metrics.cut_streams.clone()))?;
        registry.register(Box::new(metrics.fallbacks.clone()))?;
        metrics.money.register(registry)?;
        Ok(metrics)
    }

    /// Counts a call that ended.
    pub fn finished(&self, call: &Finished<'_>) {
        let product = call.product.as_str();
        let provider = call.provider.map_or(NO_PROVIDER, ProviderName::as_str);
        let mut digits = [0u8; 3];
        self.requests
            .with_label_values(&[product, call.endpoint.0, provider, status_text(call.status, &mut digits)])
            .inc();
        self.duration.with_label_values(&[product, call.endpoint.0, provider]).observe(call.duration.as_secs_f64());
        if let Some(overhead) = call.overhead {
            self.overhead.with_label_values(&[call.endpoint.0]).observe(overhead.as_secs_f64());
        }
    }

    /// Notes how long a provider took to its head.
    pub fn first_byte(&self, provider: &ProviderName, took: Duration) {
        self.first_byte.with_label_values(&[provider.as_str()]).observe(took.as_secs_f64());
    }

    /// A provider refused the gateway's own credential.
    pub fn upstream_auth_failed(&self, provider: &ProviderName) {
        self.upstream_auth_failed.with_label_values(&[provider.as_str()]).inc();
    }

    /// A stream ended in an error after it had begun.
    pub fn broken_stream(&self, product: &ProductName, provider: &ProviderName) {
        self.cut_streams.with_label_values(&[product.as_str(), provider.as_str()]).inc();
    }

    /// A call goes on to another provider, or to another model of the same one.
    pub fn fell_back(&self, product: &ProductName, from: &ProviderName, to: &ProviderName) {
        self.fallbacks.with_label_values(&[product.as_str(), from.as_str(), to.as_str()]).inc();
    }

    /// A stream is open for as long as the guard lives.
    pub fn stream_opened(&self, product: &ProductName) -> ActiveStream {
        let gauge = self.active_streams.with_label_values(&[product.as_str()]);
        gauge.inc();
        ActiveStream(gauge)
    }

    /// Everything, followed by what the caller of this function knows at this moment.
    ///
    /// # Errors
    /// When a label is not text, which the types rule out.
    pub fn render(&self, moment: &[prometheus::proto::MetricFamily]) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend_from_slice(moment);
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

/// Counts one open stream until it is dropped.
#[derive(Debug)]
pub struct ActiveStream(prometheus::IntGauge);

impl Drop for ActiveStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The three digits of a status, without an allocation.
fn status_text(status: u16, digits: &mut [u8; 3]) -> &str {
    let status = status.min(999);
    for (digit, weight) in digits.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(status / weight % 10).unwrap_or_default();
    }
    std::str::from_utf8(digits).unwrap_or("000")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
