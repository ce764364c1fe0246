//! What Keystone says about a token, read from its answers.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::access::AccessRule;
use super::error::Error;
use crate::auth::Identity;

/// A token that Keystone has vouched for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) identity: Identity,
    pub(super) expires_at: OffsetDateTime,
    /// The requests it may be used for; none for every one.
    access_rules: Option<Vec<AccessRule>>,
}

impl Token {
    /// Reads the answer to a validation.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let token = Wire::parse(body)?;
        let project = token.project.map(|project| (project.id, project.domain.id));
        let (project_id, project_domain_id) = project.unzip();
        Ok(Self {
            identity: Identity {
                user_id: token.user.id,
                project_id,
                roles: token.roles.into_iter().map(|role| role.name).collect(),
                domain_id: token.domain.map(|domain| domain.id),
                user_domain_id: Some(token.user.domain.id),
                project_domain_id,
                is_system_scoped: token.system.is_some_and(|system| system.all),
            },
            expires_at: time(&token.expires_at)?,
            access_rules: token
                .application_credential
                .and_then(|credential| credential.access_rules),
        })
    }

    /// Whether the token is past its own end.
    pub(super) fn has_expired(&self) -> bool {
        self.expires_at <= OffsetDateTime::now_utc()
    }

    /// Whether its access rules let it be used for a request to a service of that type.
    pub(super) fn covers(&self, service_type: &str, method: &str, path: &str) -> bool {
        self.access_rules.as_ref().is_none_or(|rules| {
            rules
                .iter()
                .any(|rule| rule.covers(service_type, method, path))
        })
    }

    /// Whether it has one of the roles; letters count the same in either case.
    pub(super) fn has_role_of(&self, roles: &[String]) -> bool {
        let own = &self.identity.roles;
        roles
            .iter()
            .any(|role| own.iter().any(|own| own.eq_ignore_ascii_case(role)))
    }
}

/// What matters of the service's own token, out of the answer to a login.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) issued_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
    pub(super) roles: Vec<String>,
    catalog: Vec<Service>,
}

impl Login {
    /// Reads the answer to a login.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let token = Wire::parse(body)?;
        let issued_at = token.issued_at.as_deref().map(time).transpose()?;
        Ok(Self {
            issued_at: issued_at.unwrap_or_else(OffsetDateTime::now_utc),
            expires_at: time(&token.expires_at)?,
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            catalog: token.catalog,
        })
    }

    /// The URL of the identity service in the catalog.
    pub(super) fn identity_endpoint(&self, interface: &str, region: Option<&str>) -> Option<&str> {
        let services = self.catalog.iter().filter(|s| s.kind == "identity");
        let is_ours = |endpoint: &&Endpoint| {
            let here = endpoint.region_id.as_deref().or(endpoint.region.as_deref());
            endpoint.interface == interface && region.is_none_or(|wanted| here == Some(wanted))
        };
        services
            .flat_map(|service| &service.endpoints)
            .find(is_ours)
            .map(|endpoint| endpoint.url.as_str())
    }
}

fn time(text: &str) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Error::Garbled("a time is none"))
}

#[derive(Deserialize)]
struct Body {
    token: Wire,
}

#[derive(Deserialize)]
struct Wire {
    user: InDomain,
    project: Option<InDomain>,
    domain: Option<Named>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    issued_at: Option<String>,
    expires_at: String,
    #[serde(default)]
    catalog: Vec<Service>,
    application_credential: Option<ApplicationCredential>,
}

impl Wire {
    /// The parser's own message would quote the answer, so it is dropped.
    fn parse(body: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(body)
            .map(|Body { token }| token)
            .map_err(|_| Error::Garbled("it is no token"))
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct InDomain {
    id: String,
    domain: Named,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<Vec<AccessRule>>,
}

#[derive(Debug, Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(more: Value) -> Vec<u8> {
        let mut token = json!({
            "user": {"id": "u", "name": "n", "domain": {"id": "ud", "name": "D"}},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2026-01-01T01:00:00.000000Z",
        });
        let more = more.as_object().unwrap().clone();
        token.as_object_mut().unwrap().extend(more);
        json!({"token": token}).to_string().into_bytes()
    }

    #[test]
    fn scope_of_a_token_is_that_of_its_identity() {
        let roles = json!([{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}]);
        let project = json!({"id": "p", "name": "x", "domain": {"id": "pd", "name": "D"}});
        let token = Token::parse(&body(json!({"project": project, "roles": roles}))).unwrap();
        assert_eq!(
            token.identity,
            Identity {
                user_id: "u".into(),
                project_id: Some("p".into()),
                roles: vec!["member".into(), "reader".into()],
                domain_id: None,
                user_domain_id: Some("ud".into()),
                project_domain_id: Some("pd".into()),
                is_system_scoped: false,
            }
        );
        let domain = Token::parse(&body(json!({"domain": {"id": "d", "name": "D"}}))).unwrap();
        assert_eq!(domain.identity.domain_id.as_deref(), Some("d"));
        assert_eq!(domain.identity.project_id, None);
        let system = Token::parse(&body(json!({"system": {"all": true}}))).unwrap();
        assert!(system.identity.is_system_scoped);
        let unscoped = Token::parse(&body(json!({}))).unwrap();
        assert!(unscoped.identity.project_id.is_none() && unscoped.identity.roles.is_empty());
        assert!(unscoped.has_expired());
    }

    #[test]
    fn absent_access_rules_allow_everything_and_empty_ones_nothing() {
        for (credential, covered) in [
            (json!({"id": "a"}), true),
            (json!({"id": "a", "access_rules": null}), true),
            (json!({"id": "a", "access_rules": []}), false),
            (
                json!({"id": "a", "access_rules": [{"id": "r", "service": "image", "method": "GET", "path": "/v2/**"}]}),
                true,
            ),
        ] {
            let body = body(json!({"application_credential": credential}));
            let token = Token::parse(&body).unwrap();
            assert_eq!(
                token.covers("image", "GET", "/v2/images"),
                covered,
                "{credential}"
            );
        }
    }

    #[test]
    fn answer_that_is_no_token_is_never_quoted() {
        for answer in [
            "",
            "<html>sesame</html>",
            "{}",
            r#"{"token": "sesame"}"#,
            r#"{"token": {"user": {"id": "sesame"}}}"#,
        ] {
            let error = Token::parse(answer.as_bytes()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sesame"));
        }
        let odd = body(json!({"expires_at": "sesame"}));
        assert!(Token::parse(&odd).is_err());
    }

    #[test]
    fn endpoint_is_that_of_interface_and_region() {
        let endpoint = |interface: &str, region: &str, url: &str| json!({"id": "e", "interface": interface, "region": region, "region_id": region, "url": url});
        let catalog = json!([
            {"id": "1", "type": "image", "name": "glance", "endpoints": [endpoint("internal", "a", "image")]},
            {"id": "2", "type": "identity", "name": "keystone", "endpoints": [
                endpoint("public", "a", "public-a"),
                endpoint("internal", "a", "internal-a"),
                endpoint("internal", "b", "internal-b"),
            ]},
        ]);
        let login = Login::parse(&body(json!({"catalog": catalog}))).unwrap();
        for (interface, region, url) in [
            ("internal", None, Some("internal-a")),
            ("internal", Some("b"), Some("internal-b")),
            ("public", None, Some("public-a")),
            ("public", Some("b"), None),
            ("admin", None, None),
        ] {
            assert_eq!(login.identity_endpoint(interface, region), url);
        }
        assert_eq!(
            Login::parse(&body(json!({})))
                .unwrap()
                .identity_endpoint("internal", None),
            None
        );
    }
}
