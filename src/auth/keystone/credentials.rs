//! The service's own credentials, and the login they make.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::client::fault;
use super::error::Error;
use crate::config::{Fault, Faults, Keystone as Options, Secret};

/// Where the credentials are.
pub(super) enum Credentials {
    /// In the configuration.
    Given(Account),
    /// In a file that may be replaced while the service runs; the project comes from the configuration.
    File(PathBuf),
}

/// What proves who the service is.
pub(super) enum Account {
    User { name: String, password: Secret },
    ApplicationCredential { id: String, secret: Secret },
}

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginScope {
    /// The service's project.
    Project,
    /// The whole deployment.
    System,
}

impl Credentials {
    /// Takes what the configuration names, and reads the file once, so that a fault in it is found at start.
    pub(super) fn open(options: &Options) -> Result<Self, Faults> {
        if let Some(path) = &options.credentials_file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Faults(vec![Fault::unreadable(path, &e)]))?;
            let account = parse(&text, path)?;
            if matches!(account, Account::User { .. }) && options.project_name.is_none() {
                return Err(fault(
                    "keystone.project_name",
                    "is required with a username in credentials_file",
                ));
            }
            return Ok(Self::File(path.clone()));
        }
        let user = options.username.as_ref().zip(options.password.as_ref());
        let credential = options
            .application_credential_id
            .as_ref()
            .zip(options.application_credential_secret.as_ref());
        match (user, credential) {
            (Some((name, password)), _) => Ok(Self::Given(Account::User {
                name: name.clone(),
                password: password.clone(),
            })),
            (None, Some((id, secret))) => Ok(Self::Given(Account::ApplicationCredential {
                id: id.clone(),
                secret: secret.clone(),
            })),
            (None, None) => Err(fault("keystone.username", "is required")),
        }
    }

    /// The body of a login.
    pub(super) async fn login(&self, options: &Options, scope: LoginScope) -> Result<Bytes, Error> {
        match self {
            Self::Given(account) => Ok(account.login(options, scope)),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                let account = text
                    .map_err(|e| Faults(vec![Fault::unreadable(path, &e)]))
                    .and_then(|text| parse(&text, path));
                let account = account.map_err(Error::Credentials)?;
                Ok(account.login(options, scope))
            }
        }
    }
}

impl Account {
    fn login(&self, options: &Options, scope: LoginScope) -> Bytes {
        let scope = match scope {
            LoginScope::System => json!({"system": {"all": true}}),
            LoginScope::Project => json!({"project": {
                "name": options.project_name,
                "domain": {"name": options.project_domain_name},
            }}),
        };
        let auth = match self {
            Self::User { name, password } => json!({
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {
                        "name": name,
                        "domain": {"name": options.user_domain_name},
                        "password": password.expose(),
                    }},
                },
                "scope": scope,
            }),
            // It has its project inside.
            Self::ApplicationCredential { id, secret } => json!({
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": id, "secret": secret.expose()},
                },
            }),
        };
        Bytes::from(json!({"auth": auth}).to_string())
    }
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Keys {
    User {
        username: String,
        password: String,
    },
    ApplicationCredential {
        application_credential_id: String,
        application_credential_secret: String,
    },
}

/// The parser's own message would quote the line, and with it a secret.
fn parse(text: &str, path: &Path) -> Result<Account, Faults> {
    let keys = toml::from_str(text).map_err(|_| {
        fault(
            &path.display().to_string(),
            "must hold username and password, or application_credential_id and application_credential_secret",
        )
    })?;
    Ok(match keys {
        Keys::User { username, password } => Account::User {
            name: username,
            password: Secret::new(password),
        },
        Keys::ApplicationCredential {
            application_credential_id,
            application_credential_secret,
        } => Account::ApplicationCredential {
            id: application_credential_id,
            secret: Secret::new(application_credential_secret),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn options(more: impl FnOnce(&mut Options)) -> Options {
        let mut options = Options::default();
        more(&mut options);
        options
    }

    async fn login(options: &Options) -> Value {
        let credentials = Credentials::open(options).unwrap();
        let body = credentials.login(options, LoginScope::Project).await;
        serde_json::from_slice(&body.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn user_logs_in_to_a_project_and_a_credential_to_its_own() {
        let user = options(|o| {
            o.username = Some("glance".into());
            o.password = Some(Secret::new("sesame"));
            o.project_name = Some("service".into());
            o.project_domain_name = "Services".into();
        });
        let body = login(&user).await;
        let identity = &body["auth"]["identity"];
        assert_eq!(identity["methods"], json!(["password"]));
        assert_eq!(
            identity["password"]["user"],
            json!({"name": "glance", "domain": {"name": "Default"}, "password": "sesame"})
        );
        assert_eq!(
            body["auth"]["scope"]["project"],
            json!({"name": "service", "domain": {"name": "Services"}})
        );
        let credential = options(|o| {
            o.application_credential_id = Some("id".into());
            o.application_credential_secret = Some(Secret::new("sesame"));
        });
        let body = login(&credential).await;
        assert_eq!(
            body["auth"]["identity"]["application_credential"],
            json!({"id": "id", "secret": "sesame"})
        );
        assert_eq!(body["auth"]["scope"], Value::Null);
    }

    #[tokio::test]
    async fn file_is_read_at_each_login_and_never_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        let options = options(|o| {
            o.credentials_file = Some(path.clone());
            o.project_name = Some("service".into());
        });
        assert!(Credentials::open(&options).is_err());
        std::fs::write(&path, "username = \"a\"\npassword = \"one\"").unwrap();
        let credentials = Credentials::open(&options).unwrap();
        std::fs::write(&path, "username = \"a\"\npassword = \"two\"").unwrap();
        let body = credentials
            .login(&options, LoginScope::Project)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body["auth"]["identity"]["password"]["user"]["password"],
            "two"
        );
        for wrong in [
            "",
            "username = \"a\"",
            "username = \"a\"\npassword = \"sesame",
            "username = \"a\"\npassword = \"sesame\"\nproject = \"p\"",
        ] {
            std::fs::write(&path, wrong).unwrap();
            let error = credentials
                .login(&options, LoginScope::Project)
                .await
                .unwrap_err();
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        }
    }

    #[test]
    fn user_in_a_file_needs_a_project() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        std::fs::write(&path, "username = \"a\"\npassword = \"b\"").unwrap();
        let options = options(|o| o.credentials_file = Some(path));
        let faults = Credentials::open(&options).err().unwrap().to_string();
        assert!(faults.starts_with("keystone.project_name: "), "{faults}");
    }
}
