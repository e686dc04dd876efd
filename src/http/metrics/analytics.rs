//! How events stand.

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::actors::analytics::Standing;
use crate::actors::analytics::standing::SpoolState;

/// All there is to say; nothing while there are no events.
pub(super) fn families(standing: &Standing) -> Result<Vec<MetricFamily>, Error> {
    if !standing.is_on {
        return Ok(Vec::new());
    }
    let waiting = IntGaugeVec::new(
        Opts::new(
            "llm_gateway_analytics_waiting_events",
            "Events that wait: in the buffer behind ended calls, in the spool, or in memory in its stead.",
        ),
        &["where"],
    )?;
    let bytes = IntGaugeVec::new(
        Opts::new("llm_gateway_analytics_waiting_bytes", "What they hold; compressed, but for the buffer's."),
        &["where"],
    )?;
    for (place, load) in [("buffer", standing.buffer), ("spool", standing.spool), ("memory", standing.memory)] {
        waiting.with_label_values(&[place]).set(i64::try_from(load.events).unwrap_or(i64::MAX));
        bytes.with_label_values(&[place]).set(i64::try_from(load.bytes).unwrap_or(i64::MAX));
    }
    let good = IntGauge::new(
        "llm_gateway_analytics_spool_good",
        "1 while the file of events can be written; 0 while they wait in memory.",
    )?;
    good.set(i64::from(standing.spool_state == SpoolState::Good));
    let age = Gauge::new(
        "llm_gateway_analytics_oldest_age_seconds",
        "How long the oldest event has waited to be sent; 0 if none waits.",
    )?;
    age.set(std::time::Duration::from_millis(standing.oldest_age_ms.unwrap_or(0)).as_secs_f64());
    let recorded =
        IntCounter::new("llm_gateway_analytics_recorded_total", "Ended calls that were taken in as events.")?;
    recorded.inc_by(standing.recorded);
    let sent = IntCounter::new("llm_gateway_analytics_sent_total", "Events that PostHog has taken.")?;
    sent.inc_by(standing.sent);

    let mut families = waiting.collect();
    for family in [bytes.collect(), good.collect(), age.collect(), recorded.collect(), sent.collect()] {
        families.extend(family);
    }
    for (name, help, counts) in [
        ("llm_gateway_analytics_refused_total", "Events that PostHog refused, by reason.", &standing.refused),
        ("llm_gateway_analytics_dropped_total", "Events that were given up, by reason.", &standing.dropped),
        ("llm_gateway_analytics_retries_total", "Batches that had to be sent again, by reason.", &standing.retries),
    ] {
        let counter = IntCounterVec::new(Opts::new(name, help), &["reason"])?;
        for (reason, count) in counts {
            counter.with_label_values(&[reason]).inc_by(*count);
        }
        families.extend(counter.collect());
    }
    let spans = IntCounterVec::new(
        Opts::new("llm_gateway_otlp_spans_total", "Spans for OpenTelemetry's collector, by what became of them."),
        &["result"],
    )?;
    spans.with_label_values(&["sent"]).inc_by(standing.spans_sent);
    spans.with_label_values(&["dropped"]).inc_by(standing.spans_dropped);
    families.extend(spans.collect());
    Ok(families)
}
