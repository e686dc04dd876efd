//! What products take: which credentials, which applications, which models.

use crate::auth::principal::{Credential, Principal};
use crate::auth::scope::GATEWAY_SCOPE;
use crate::config::products::Product;
use crate::fault::{Fault, FaultKind};
use crate::ids::{ModelId, ProductName};

/// Lets a caller in, or says why not.
///
/// # Errors
/// 403 when the token's scopes do not allow calls at all, or this product does not take this sort of credential or this OAuth
/// application.
pub fn admit(principal: &Principal, name: &ProductName, product: &Product) -> Result<(), Fault> {
    if !principal.scopes.allows_gateway() {
        return Err(Fault::new(
            FaultKind::InsufficientScope,
            format!("the token lacks the scope {GATEWAY_SCOPE}; use one that was made with it"),
        ));
    }
    match &principal.credential {
        Credential::ApiKey { .. } if product.api_keys => Ok(()),
        Credential::ApiKey { .. } => Err(Fault::new(
            FaultKind::ProductAccessDenied,
            format!("product \"{name}\" takes no personal API keys; use an OAuth access token (pha_...)"),
        )),
        Credential::OAuth { application } => {
            let allowed = &product.oauth_applications;
            if allowed.is_empty() {
                return Err(Fault::new(
                    FaultKind::ProductAccessDenied,
                    format!("product \"{name}\" takes no OAuth access tokens; use a personal API key (phx_...)"),
                ));
            }
            if allowed.iter().any(|id| is_application(id, *application)) {
                return Ok(());
            }
            Err(Fault::new(
                FaultKind::ProductAccessDenied,
                format!("product \"{name}\" does not take access tokens of this OAuth application"),
            ))
        }
    }
}

/// Whether a product offers a model: its id, or what the caller asked for by name, begins with one of the allowed prefixes.
pub fn model_allowed(product: &Product, model: &ModelId, requested: &str) -> bool {
    product
        .models
        .iter()
        .any(|prefix| prefix == "*" || model.as_str().starts_with(prefix) || requested.starts_with(prefix))
}

fn is_application(allowed: &str, application: Option<uuid::Uuid>) -> bool {
    allowed == "*" || application.is_some_and(|id| uuid::Uuid::try_parse(allowed) == Ok(id))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::{admit, model_allowed};
    use crate::auth::principal::{Credential, Principal};
    use crate::auth::scope::Scopes;
    use crate::config::products::{Capture, OnHangUp, Product};
    use crate::fault::FaultKind;
    use crate::ids::{ModelId, ProductName, TeamId, UserId};

    const APPLICATION: &str = "0198a2f5-7c1e-7b1a-9f3e-2d5c8b7a6f10";

    fn product() -> Product {
        Product {
            api_keys: true,
            oauth_applications: vec!["*".to_owned()],
            models: vec!["*".to_owned()],
            capture: Capture::Full,
            fallback: false,
            stateful: false,
            on_hang_up: OnHangUp::Close,
            limits: Vec::new(),
        }
    }

    fn caller(credential: Credential) -> Principal {
        Principal {
            user: UserId(1),
            team: Some(TeamId(1)),
            distinct_id: None,
            credential,
            scopes: Scopes::from_text("llm_gateway:read"),
        }
    }

    fn with_key() -> Principal {
        caller(Credential::ApiKey { id: "k".to_owned() })
    }

    fn with_token(application: Option<&str>) -> Principal {
        caller(Credential::OAuth { application: application.map(|id| id.parse().unwrap()) })
    }

    fn refusal(principal: &Principal, product: &Product) -> FaultKind {
        admit(principal, &ProductName::from("wizard"), product).unwrap_err().kind
    }

    fn is_admitted(principal: &Principal, product: &Product) -> bool {
        admit(principal, &ProductName::from("wizard"), product).is_ok()
    }

    #[test]
    fn a_token_without_the_scope_is_refused_before_the_product_is_asked() {
        let principal = Principal { scopes: Scopes::from_text("insight:read"), ..with_key() };
        let product = Product { api_keys: false, ..product() };
        assert_eq!(refusal(&principal, &product), FaultKind::InsufficientScope);
    }

    #[test]
    fn api_keys_are_taken_only_where_the_product_says_so() {
        assert!(is_admitted(&with_key(), &product()));
        let closed = Product { api_keys: false, ..product() };
        assert_eq!(refusal(&with_key(), &closed), FaultKind::ProductAccessDenied);
        assert!(is_admitted(&with_token(None), &closed));
    }

    #[test]
    fn a_star_takes_any_application_and_none_at_all() {
        assert!(is_admitted(&with_token(Some(APPLICATION)), &product()));
        assert!(is_admitted(&with_token(None), &product()));
    }

    #[test]
    fn an_empty_list_takes_no_application() {
        let closed = Product { oauth_applications: Vec::new(), ..product() };
        assert_eq!(refusal(&with_token(Some(APPLICATION)), &closed), FaultKind::ProductAccessDenied);
        assert!(is_admitted(&with_key(), &closed));
    }

    #[test]
    fn listed_applications_are_taken_however_their_id_is_written() {
        for written in [APPLICATION.to_owned(), APPLICATION.to_uppercase(), APPLICATION.replace('-', "")] {
            let product = Product { oauth_applications: vec![written], ..product() };
            assert!(is_admitted(&with_token(Some(APPLICATION)), &product));
            assert!(!is_admitted(&with_token(Some("0198a2f5-7c1e-7b1a-9f3e-2d5c8b7a6f11")), &product));
            assert!(!is_admitted(&with_token(None), &product));
        }
    }

    #[test]
    fn models_match_by_prefix() {
        let product = Product { models: vec!["gpt-4.1".to_owned(), "claude-".to_owned()], ..product() };
        let allowed = |model: &str| model_allowed(&product, &ModelId::from(model), model);
        assert!(allowed("gpt-4.1") && allowed("gpt-4.1-mini") && allowed("claude-sonnet-4-5"));
        assert!(!allowed("gpt-4") && !allowed("gpt-5") && !allowed("claude") && !allowed(""));
    }

    #[test]
    fn a_provider_prefix_or_an_alias_may_be_what_is_allowed() {
        let product = Product { models: vec!["openai/".to_owned(), "cheap".to_owned()], ..product() };
        assert!(model_allowed(&product, &ModelId::from("gpt-5"), "openai/gpt-5"));
        assert!(model_allowed(&product, &ModelId::from("gemini-2.5-flash"), "cheap"));
        assert!(!model_allowed(&product, &ModelId::from("gpt-5"), "gpt-5"));
    }

    #[test]
    fn the_star_offers_every_model_and_an_empty_list_none() {
        assert!(model_allowed(&product(), &ModelId::from("anything"), "anything"));
        let closed = Product { models: Vec::new(), ..product() };
        assert!(!model_allowed(&closed, &ModelId::from("anything"), "anything"));
    }
}
