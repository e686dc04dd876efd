//! What a credential was made for.

/// The scope that calls need.
pub const GATEWAY_SCOPE: &str = "llm_gateway:read";

/// The scopes of a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Box<str>>);

impl Scopes {
    /// No scope at all. Personal API keys from before scopes have none either.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads scopes separated by spaces, as OAuth writes them.
    pub fn from_text(text: &str) -> Self {
        text.split_whitespace().collect()
    }

    /// Whether calls may be made with it.
    pub fn allows_gateway(&self) -> bool {
        self.iter().any(|scope| scope == GATEWAY_SCOPE || scope == "*")
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Separated by spaces.
    pub fn to_text(&self) -> String {
        self.0.join(" ")
    }
}

impl<T: AsRef<str>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(|scope| scope.as_ref().into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Scopes;

    #[test]
    fn only_its_own_scope_and_the_star_allow_the_gateway() {
        for good in ["llm_gateway:read", "*", "insight:read llm_gateway:read", " * "] {
            assert!(Scopes::from_text(good).allows_gateway(), "{good:?}");
        }
        for bad in ["", "insight:read", "llm_gateway:write", "llm_gateway:reader", "llm_gateway:*", "LLM_GATEWAY:READ"]
        {
            assert!(!Scopes::from_text(bad).allows_gateway(), "{bad:?}");
        }
        assert!(!Scopes::none().allows_gateway());
    }

    #[test]
    fn text_and_list_say_the_same() {
        let scopes: Scopes = ["a:read", "b:write"].into_iter().collect();
        assert_eq!(Scopes::from_text(&scopes.to_text()), scopes);
    }
}
