//! Who `metadata.user_id` means.
//!
//! Most callers write their user's id there. Claude Code writes a blob that holds a device, an account and a session: as
//! JSON, or, in older versions, as `user_<device>_account_<account>_session_<session>`.

use serde::Deserialize;

/// The user and the session of a `metadata.user_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The end user: Claude Code's account, or else its device.
    pub user: String,
    /// Claude Code's session.
    pub session: Option<String>,
}

impl Attribution {
    /// Reads a `metadata.user_id`; `None` if it says nothing.
    pub fn read(user_id: &str) -> Option<Self> {
        if user_id.is_empty() {
            return None;
        }
        let plain = || Self { user: user_id.to_owned(), session: None };
        Some(
            Blob::json(user_id)
                .or_else(|| Blob::underscored(user_id))
                .and_then(Blob::attribution)
                .unwrap_or_else(plain),
        )
    }
}

/// What Claude Code says.
#[derive(Debug, Default, Deserialize)]
struct Blob {
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default, alias = "account_id")]
    account_uuid: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
}

impl Blob {
    fn json(text: &str) -> Option<Self> {
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }

    fn underscored(text: &str) -> Option<Self> {
        let (device, rest) = text.strip_prefix("user_")?.split_once("_account_")?;
        // Without an account its place is empty: `_account__session_`.
        let (account, session) = rest.split_once("_session_")?;
        Some(Self {
            device_id: Some(device.to_owned()),
            account_uuid: Some(account.to_owned()),
            session_id: Some(session.to_owned()),
        })
    }

    fn attribution(self) -> Option<Attribution> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let user = said(self.account_uuid).or_else(|| said(self.device_id))?;
        Some(Attribution { user, session: said(self.session_id) })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(user_id: &str) -> (String, Option<String>) {
        let Attribution { user, session } = Attribution::read(user_id).unwrap();
        (user, session)
    }

    #[test]
    fn a_plain_id_is_the_user() {
        for id in ["user_distinct_id_123", "jane@example.com", "user_1_account_2", "{not json", "[1]", "{}"] {
            assert_eq!(read(id), (id.to_owned(), None));
        }
        assert_eq!(Attribution::read(""), None);
    }

    #[test]
    fn claude_codes_account_is_the_user_and_its_device_where_there_is_none() {
        let both = (String::from("acc"), Some(String::from("ses")));
        assert_eq!(read("user_dev_account_acc_session_ses"), both);
        assert_eq!(read(r#"{"device_id":"dev","account_uuid":"acc","session_id":"ses"}"#), both);
        let device = (String::from("dev"), Some(String::from("ses")));
        assert_eq!(read("user_dev_account__session_ses"), device);
        assert_eq!(read(r#"{"device_id":"dev","account_uuid":"","session_id":"ses","more":1}"#), device);
        assert_eq!(read(r#"{"device_id":"dev"}"#), (String::from("dev"), None));
    }
}
