//! What many calls have in common: whose they are, which model served them, how they ended.
//!
//! It is written once, and copied from then on: most calls of a product are like others that were there a moment ago.

use std::borrow::Cow;

use super::LIBRARY;
use super::identity::Person;
use super::json::Json;
use crate::analytics::generation::{Content, Generation, LONGEST_SENTENCE, LONGEST_WORD, Preference, Served, short};
use crate::catalog::cost::Provenance;
use crate::dialect::{Delivery, Dialect, Operation, address};
use crate::ids::{ProductName, TeamId};

/// How many kinds of calls are remembered; the one that was not seen for longest is forgotten.
const KINDS: usize = 64;

/// The longest part that is remembered, in bytes.
const LONGEST: usize = 8 * 1024;

/// Parts of events that were written before, those first that were of use last.
#[derive(Debug, Default)]
pub(super) struct CommonParts {
    known: Vec<(Kind, Vec<u8>)>,
}

/// All that such a part depends on.
#[derive(Debug)]
struct Kind {
    product: ProductName,
    team: Option<TeamId>,
    person: Person,
    dialect: Dialect,
    delivery: Delivery,
    asked: Option<String>,
    temperature: Option<f64>,
    max_output_tokens: Option<u64>,
    served: Option<Served>,
    answered: Option<String>,
    unsaid: Option<String>,
    provenance: Option<Provenance>,
    status: u16,
    failure: Option<&'static str>,
    stop: Option<String>,
    service_tier: Option<String>,
    capture: &'static str,
}

/// The same of a call, by reference.
#[derive(Clone, Copy)]
struct View<'g> {
    generation: &'g Generation,
    person: Person,
    stop: Option<&'g str>,
}

impl CommonParts {
    /// Writes a call's part.
    pub(super) fn write(&mut self, generation: &Generation, person: Person, stop: Option<&str>, json: &mut Json) {
        let stop = stop.or(generation.seen.finish.as_deref()).map(|reason| short(reason, LONGEST_WORD));
        let view = View { generation, person, stop };
        if let Some(at) = self.known.iter().position(|(kind, _)| view.is(kind)) {
            if let Some(newest) = self.known.get_mut(..=at) {
                newest.rotate_right(1);
            }
            if let Some((_, part)) = self.known.first() {
                json.raw(part);
            }
            return;
        }
        let mut part = Json::default();
        view.write(&mut part);
        let part = part.into_bytes();
        json.raw(&part);
        if part.len() <= LONGEST {
            self.known.truncate(KINDS - 1);
            self.known.insert(0, (view.kind(), part));
        }
    }
}

impl<'g> View<'g> {
    fn asked(self) -> Option<&'g str> {
        self.generation.asked.model.as_deref().map(|model| short(model, LONGEST_WORD))
    }

    fn answered(self) -> Option<&'g str> {
        self.generation.seen.model.as_deref().map(|model| short(model, LONGEST_WORD))
    }

    /// What of the answer could not be said.
    fn unsaid(self) -> Option<&'g str> {
        self.generation.seen.unsaid.as_deref().map(|fields| short(fields, LONGEST_SENTENCE))
    }

    fn service_tier(self) -> Option<&'g str> {
        self.generation.seen.service_tier.as_deref().map(|tier| short(tier, LONGEST_WORD))
    }

    fn provenance(self) -> Option<Provenance> {
        self.generation.cost.map(|cost| cost.provenance)
    }

    fn failure(self) -> Option<&'static str> {
        self.generation.end.failure.as_ref().map(|failure| failure.code)
    }

    fn capture(self) -> &'static str {
        match self.generation.content {
            Content::Held { .. } => "full",
            Content::Metadata => "metadata",
            Content::Private => "private",
        }
    }

    /// Whether the call is of that kind.
    fn is(self, kind: &Kind) -> bool {
        let Self { generation, person, stop } = self;
        generation.product == kind.product
            && self.asked() == kind.asked.as_deref()
            && generation.served == kind.served
            && generation.team == kind.team
            && person == kind.person
            && generation.dialect == kind.dialect
            && generation.delivery == kind.delivery
            && generation.asked.temperature == kind.temperature
            && generation.asked.max_output_tokens == kind.max_output_tokens
            && self.answered() == kind.answered.as_deref()
            && self.unsaid() == kind.unsaid.as_deref()
            && self.provenance() == kind.provenance
            && generation.end.status == kind.status
            && self.failure() == kind.failure
            && stop == kind.stop.as_deref()
            && self.service_tier() == kind.service_tier.as_deref()
            && self.capture() == kind.capture
    }

    fn kind(self) -> Kind {
        let Self { generation, person, stop } = self;
        Kind {
            product: generation.product.clone(),
            team: generation.team,
            person,
            dialect: generation.dialect,
            delivery: generation.delivery,
            asked: self.asked().map(str::to_owned),
            temperature: generation.asked.temperature,
            max_output_tokens: generation.asked.max_output_tokens,
            served: generation.served.clone(),
            answered: self.answered().map(str::to_owned),
            unsaid: self.unsaid().map(str::to_owned),
            provenance: self.provenance(),
            status: generation.end.status,
            failure: self.failure(),
            stop: stop.map(str::to_owned),
            service_tier: self.service_tier().map(str::to_owned),
            capture: self.capture(),
        }
    }

    fn write(self, json: &mut Json) {
        json.member("$lib", LIBRARY);
        json.member("$lib_version", env!("CARGO_PKG_VERSION"));
        json.member("$ai_lib", LIBRARY);
        json.member("$ai_lib_version", env!("CARGO_PKG_VERSION"));
        json.member("ai_product", self.generation.product.as_str());
        if self.person == Person::Unknown {
            json.number("$process_person_profile", false);
        }
        if let Some(team) = self.generation.team {
            json.number("team_id", team.0);
            json.key("$groups");
            json.open(b'{');
            json.number("project", team.0);
            json.close(b'}');
        }
        self.model(json);
        self.ending(json);
        json.member("llm_gateway_capture", self.capture());
    }

    /// Which model served, and where.
    fn model(self, json: &mut Json) {
        let served = self.generation.served.as_ref();
        if let Some(model) = served.map(|served| short(served.model.as_str(), LONGEST_WORD)).or(self.asked()) {
            json.member("$ai_model", model);
            json.member("$ai_span_name", &format!("{} {model}", operation(self.generation.dialect)));
        }
        if let Some(asked) = self.asked() {
            json.member("llm_gateway_model_asked", asked);
        }
        if let Some(answered) = self.answered() {
            json.member("llm_gateway_model_answered", answered);
        }
        json.number("$ai_stream", self.generation.delivery.is_stream());
        if let Some(temperature) = self.generation.asked.temperature {
            json.number("$ai_temperature", temperature);
        }
        if let Some(most) = self.generation.asked.max_output_tokens {
            json.number("$ai_max_tokens", most);
        }
        let Some(served) = served else { return };
        json.member("$ai_provider", served.provider.as_str());
        if let Some(base) = &served.base_url {
            json.member("$ai_base_url", base.as_str());
            json.member("$ai_request_url", short(&request_url(served, base.as_str()), LONGEST_SENTENCE));
        }
        let is_fallback = match served.choice {
            Preference::First => false,
            Preference::Fallback => true,
        };
        json.number("llm_gateway_fallback_used", is_fallback);
        let asked = served.ignored.as_ref().and_then(|fields| fields.to_str().ok());
        let ignored = [asked, self.unsaid()].into_iter().flatten();
        let ignored = ignored.flat_map(|fields| short(fields, LONGEST_SENTENCE).split(',').map(str::trim));
        let mut told: Vec<&str> = Vec::new();
        ignored.for_each(|field| {
            if !told.contains(&field) {
                told.push(field);
            }
        });
        if !told.is_empty() {
            json.key("llm_gateway_ignored_fields");
            json.open(b'[');
            told.into_iter().for_each(|field| json.text(field));
            json.close(b']');
        }
    }

    /// How it ended.
    fn ending(self, json: &mut Json) {
        json.member("$ai_tokens_source", "sdk");
        if let Some(provenance) = self.provenance() {
            json.member("llm_gateway_cost_provenance", provenance.name());
        }
        json.number("$ai_http_status", self.generation.end.status);
        if let Some(reason) = self.stop {
            json.member("$ai_stop_reason", reason);
        }
        if let Some(tier) = self.service_tier() {
            json.member("$ai_service_tier", tier);
        }
        if let Some(code) = self.failure() {
            json.number("$ai_is_error", true);
            json.member("llm_gateway_error_code", code);
        }
    }
}

/// As OpenTelemetry's conventions for generative models name it.
pub(super) fn operation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => "chat",
        Dialect::Gemini => "generate_content",
    }
}

fn request_url(served: &Served, base: &str) -> String {
    let path = address::path(served.dialect, Operation::Generate, served.delivery, &served.model);
    format!("{}{}", base.trim_end_matches('/'), path.unwrap_or(Cow::Borrowed("")))
}
