//! What shows up on the page.

use super::money::MOST_TOLD;
use super::*;
use crate::catalog::cost::{Basis, Cost, Parts, Provenance};
use crate::ids::ModelId;
use crate::money::NanoUsd;

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
    let line =
        r#"llm_gateway_requests_total{endpoint="chat_completions",product="wizard",provider="openai",status="200"} 1"#;
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
