//! The numbers of one gateway, in Prometheus' text format.
//!
//! One [`Metrics`] belongs to one gateway, so that two in one process do not mix. Labels come from configuration and from
//! closed sets, never from a caller's words: a caller cannot make a series.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    CounterVec, Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::catalog::cost::{Basis, Cost, Provenance};
use crate::config::products::Per;
use crate::ids::{ModelId, ProductName, ProviderName};
use crate::money::NanoUsd;

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
    cost: CounterVec,
    unpriced: IntCounterVec,
    told: Told,
    fallbacks: IntCounterVec,
    reserved: CounterVec,
    settled: CounterVec,
    estimates: HistogramVec,
    limits: IntCounterVec,
    redis_fallback: IntCounter,
}

/// What a charge lacked, so that it is at a stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// The model's price: no list has it.
    Price,
    /// The answer's usage: there was none that could be believed.
    Usage,
}

impl Missing {
    fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Usage => "usage",
        }
    }
}

/// Which models were told of already. Callers make names up, so that only so many are kept.
type Told = Arc<Mutex<HashSet<(Missing, ProviderName, ModelId)>>>;

/// How many models are told of in a log line. Of more than that the metric tells, which has all of them as one.
const MOST_TOLD: usize = 256;

/// What a limit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitEvent {
    /// A call was refused.
    Refused,
    /// A call would have been refused, but the limit only reports.
    Shadowed,
    /// A call waited for another to settle.
    Waited,
    /// It came near its end.
    Warned,
}

impl LimitEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Shadowed => "shadowed",
            Self::Waited => "waited",
            Self::Warned => "warned",
        }
    }
}

/// No provider was involved.
const NO_PROVIDER: &str = "none";

/// Stands for every model that is not in the catalog.
const OTHER_MODEL: &str = "other";

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
            cost: CounterVec::new(
                Opts::new("llm_gateway_cost_usd_total", "What calls cost, in dollars, and how well that is known."),
                &["product", "provider", "model", "provenance"],
            )?,
            unpriced: IntCounterVec::new(
                Opts::new(
                    "llm_gateway_unpriced_calls_total",
                    "Calls charged at a stand-in: their model has no price, or their answer no usage that could be believed.",
                ),
                &["provider", "model", "missing"],
            )?,
            told: Told::default(),
            fallbacks: IntCounterVec::new(
                Opts::new(
                    "llm_gateway_fallbacks_total",
                    "Calls that went on to another model because a provider failed.",
                ),
                &["product", "from", "to"],
            )?,
            reserved: CounterVec::new(
                Opts::new("llm_gateway_reserved_usd_total", "What calls were estimated at, in dollars."),
                &["product"],
            )?,
            settled: CounterVec::new(
                Opts::new("llm_gateway_settled_usd_total", "What the same calls came to, in dollars."),
                &["product"],
            )?,
            estimates: HistogramVec::new(
                HistogramOpts::new(
                    "llm_gateway_settled_to_reserved_ratio",
                    "What calls came to, as a share of what they were estimated at: 1 is exact, more was underestimated.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 5.0, 10.0]),
                &["product"],
            )?,
            limits: IntCounterVec::new(
                Opts::new("llm_gateway_limit_events_total", "What limits did: refused, shadowed, waited, warned."),
                &["product", "per", "event"],
            )?,
            redis_fallback: IntCounter::new(
                "llm_gateway_redis_fallback_total",
                "How often Redis did not answer, and limits were held from this instance's own counters.",
            )?,
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
        registry.register(Box::new(metrics.cost.clone()))?;
        registry.register(Box::new(metrics.unpriced.clone()))?;
        registry.register(Box::new(metrics.fallbacks.clone()))?;
        registry.register(Box::new(metrics.reserved.clone()))?;
        registry.register(Box::new(metrics.settled.clone()))?;
        registry.register(Box::new(metrics.estimates.clone()))?;
        registry.register(Box::new(metrics.limits.clone()))?;
        registry.register(Box::new(metrics.redis_fallback.clone()))?;
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

    /// Counts what a call cost.
    ///
    /// A model that no list has is not named: callers make such names up. Says what was missing where the operator should be told
    /// of it: once for each of the first 256 models; the metric counts all of them.
    pub fn cost(
        &self,
        product: &ProductName,
        provider: &ProviderName,
        model: &ModelId,
        cost: &Cost,
        basis: Basis,
    ) -> Option<Missing> {
        let shown = match basis {
            Basis::Listed => model.as_str(),
            Basis::Dearest => OTHER_MODEL,
        };
        let labels = [product.as_str(), provider.as_str(), shown, cost.provenance.name()];
        self.cost.with_label_values(&labels).inc_by(cost.amount.as_usd().max(0.0));
        match cost.provenance {
            Provenance::Default => {}
            Provenance::Computed | Provenance::EstimatedPartial => match basis {
                Basis::Listed => return None,
                // What had gone by is charged, by a price that is not the model's.
                Basis::Dearest => {}
            },
        }
        // What was never computed from counts had none, whatever the price.
        let missing = if cost.parts.is_none() { Missing::Usage } else { Missing::Price };
        self.unpriced.with_label_values(&[provider.as_str(), shown, missing.name()]).inc();
        self.is_news(missing, provider, model).then_some(missing)
    }

    fn is_news(&self, missing: Missing, provider: &ProviderName, model: &ModelId) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_TOLD && told.insert((missing, provider.clone(), model.clone()))
    }

    /// A call was estimated at this much.
    pub fn reserved(&self, product: &ProductName, estimate: NanoUsd) {
        self.reserved.with_label_values(&[product.as_str()]).inc_by(estimate.as_usd().max(0.0));
    }

    /// It came to this much. A call that was never estimated, and one that costs nothing because no provider took it, say nothing
    /// of how good estimates are.
    pub fn settled(&self, product: &ProductName, estimate: NanoUsd, actual: NanoUsd) {
        self.settled.with_label_values(&[product.as_str()]).inc_by(actual.as_usd().max(0.0));
        if estimate > NanoUsd::ZERO && actual > NanoUsd::ZERO {
            self.estimates.with_label_values(&[product.as_str()]).observe(actual.as_usd() / estimate.as_usd());
        }
    }

    /// A limit did something.
    pub fn limit(&self, product: &ProductName, per: Per, event: LimitEvent) {
        self.limits.with_label_values(&[product.as_str(), per.name(), event.name()]).inc();
    }

    /// Redis did not answer.
    pub fn redis_fallback(&self) {
        self.redis_fallback.inc();
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
mod tests {
    use super::*;
    use crate::catalog::cost::Parts;

    #[test]
    fn a_finished_call_shows_up_under_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.finished(&Finished {
            product: &ProductName::from("wizard"),
            endpoint: Endpoint("chat_completions"),
            provider: Some(&ProviderName::from("openai")),
            status: 200,
            duration: Duration::from_millis(20),
            overhead: Some(Duration::from_micros(40)),
        });
        let text = String::from_utf8(metrics.render(&[]).unwrap()).unwrap();
        let line = r#"llm_gateway_requests_total{endpoint="chat_completions",product="wizard",provider="openai",status="200"} 1"#;
        assert!(text.contains(line), "{text}");
    }

    fn page(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render(&[]).unwrap()).unwrap()
    }

    #[test]
    fn a_model_without_a_price_is_told_of_once_by_its_name_and_no_caller_makes_series() {
        let metrics = Metrics::new().unwrap();
        let (product, provider) = (ProductName::from("wizard"), ProviderName::from("openai"));
        let parts = Parts { input: NanoUsd(5), ..Parts::default() };
        let unpriced = Cost { amount: NanoUsd(5), parts: Some(parts), provenance: Provenance::Default };
        let charge = |model: &str| metrics.cost(&product, &provider, &ModelId::from(model), &unpriced, Basis::Dearest);
        assert_eq!(charge("one"), Some(Missing::Price));
        assert_eq!(charge("one"), None);
        assert_eq!(charge("another"), Some(Missing::Price));
        let told = (0..2000).filter(|index| charge(&format!("made up {index}")).is_some()).count();
        assert_eq!(told, MOST_TOLD - 2);
        let line = r#"llm_gateway_unpriced_calls_total{missing="price",model="other",provider="openai"} 2003"#;
        let text = page(&metrics);
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("made up"), "{text}");
    }

    #[test]
    fn a_missing_usage_is_another_thing_than_a_missing_price() {
        let metrics = Metrics::new().unwrap();
        let (product, provider, model) =
            (ProductName::from("wizard"), ProviderName::from("openai"), ModelId::from("gpt-4.1"));
        let charge = |parts, provenance, basis| {
            let cost = Cost { amount: NanoUsd(5), parts, provenance };
            metrics.cost(&product, &provider, &model, &cost, basis)
        };
        let parts = Some(Parts::default());
        assert_eq!(charge(None, Provenance::Default, Basis::Listed), Some(Missing::Usage));
        assert_eq!(charge(None, Provenance::Default, Basis::Listed), None);
        assert_eq!(charge(parts, Provenance::EstimatedPartial, Basis::Dearest), Some(Missing::Price));
        assert_eq!(charge(parts, Provenance::Computed, Basis::Listed), None);
        assert_eq!(charge(parts, Provenance::EstimatedPartial, Basis::Listed), None);
        let text = page(&metrics);
        let line = r#"llm_gateway_unpriced_calls_total{missing="usage",model="gpt-4.1",provider="openai"} 2"#;
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn estimates_that_are_too_high_do_not_make_up_for_those_that_are_too_low() {
        let metrics = Metrics::new().unwrap();
        let product = ProductName::from("wizard");
        for (estimate, actual) in [(100, 20), (100, 180), (100, 0), (0, 5)] {
            metrics.settled(&product, NanoUsd(estimate), NanoUsd(actual));
        }
        let text = page(&metrics);
        for (most, count) in [("0.1", 0), ("0.25", 1), ("1.5", 1), ("2", 2), ("+Inf", 2)] {
            let bucket = "llm_gateway_settled_to_reserved_ratio_bucket";
            let line = format!("{bucket}{{product=\"wizard\",le=\"{most}\"}} {count}\n");
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn an_open_stream_counts_until_its_guard_is_dropped() {
        let metrics = Metrics::new().unwrap();
        let product = ProductName::from("array");
        let line = |value: u8| format!("llm_gateway_active_streams{{product=\"array\"}} {value}");
        let guard = metrics.stream_opened(&product);
        assert!(String::from_utf8(metrics.render(&[]).unwrap()).unwrap().contains(&line(1)));
        drop(guard);
        assert!(String::from_utf8(metrics.render(&[]).unwrap()).unwrap().contains(&line(0)));
    }
}
