//! What a provider tells beside the content of its answer.

use crate::ir::{ApiError, Event, Response, Usage};

/// What a provider told about its answer, for cost and records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// What it took. Of a stream that was cut: what was known by then.
    pub usage: Option<Usage>,
    /// The provider's id for it.
    pub id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tier that served.
    pub service_tier: Option<String>,
    /// Why it ended, in the provider's word; of several choices, the last one's.
    pub finish: Option<String>,
    /// The provider said that it failed, or did not keep to its dialect.
    pub error: Option<ApiError>,
    /// Something of the answer's content has come.
    pub has_content: bool,
    /// The provider ended the answer as its dialect demands.
    pub is_complete: bool,
}

impl Told {
    /// What a whole answer tells.
    pub(super) fn by(response: &Response) -> Self {
        Self {
            usage: response.usage.clone(),
            id: response.id.clone(),
            model: response.model.clone(),
            service_tier: response.service_tier.clone(),
            finish: response
                .choices
                .iter()
                .rev()
                .find_map(|choice| choice.finish.as_ref().and_then(|finish| Some(finish.original.as_ref()?.1.clone()))),
            error: response.error.clone(),
            has_content: response.choices.iter().any(|choice| !choice.parts.is_empty()),
            is_complete: response.error.is_none(),
        }
    }

    /// Takes note of what an event of a stream tells.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Start(start) => {
                self.id.clone_from(&start.id);
                self.model.clone_from(&start.model);
                self.service_tier.clone_from(&start.service_tier);
                self.usage.clone_from(&start.usage);
            }
            Event::PartStart(..) | Event::Delta(..) => self.has_content = true,
            Event::Finish(_, finish, _) => {
                if let Some((_, word)) = &finish.original {
                    self.finish = Some(word.clone());
                }
            }
            Event::Usage(usage) => {
                if usage.service_tier.is_some() {
                    self.service_tier.clone_from(&usage.service_tier);
                }
                self.usage = Some(usage.as_ref().clone());
            }
            Event::End(_) => self.is_complete = true,
            Event::Error(error) => self.error = Some(error.as_ref().clone()),
            Event::PartStop(..) | Event::Ping | Event::Opaque(_) => {}
        }
    }
}
