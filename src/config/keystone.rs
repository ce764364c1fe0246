//! `[keystone]`: the identity service of a cloud, which says who holds a token.

use std::path::PathBuf;

use super::choice::choice;
use super::read::Section;
use super::setting::HttpUrl;
use super::units::{Secret, Span};

choice! {
    /// Which of a service's endpoints is used.
    Interface {
        /// The one for everybody.
        Public = "public",
        /// The one for services among themselves.
        Internal = "internal",
        /// The one for administrators, in old deployments.
        Admin = "admin",
    }
}

/// The identity service of `auth = "keystone"`, and the service's own credentials there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystone {
    /// The http(s) URL of Keystone, with or without `/v3`. Default: none; required with `auth = "keystone"`.
    pub auth_url: Option<String>,
    /// The URL that clients without a valid token are sent to. Default: `auth_url`. Set it to the public URL of Keystone
    /// when `auth_url` is one that clients cannot reach.
    pub www_authenticate_uri: Option<String>,
    /// The user of the service, who needs the role `service` or `admin`. Default: none. Goes with `password` and
    /// `project_name`.
    pub username: Option<String>,
    /// The password of the user. Default: none. Better given by the environment or by `credentials_file`.
    pub password: Option<Secret>,
    /// The project in which the user has the role, in most clouds `"service"`. Default: none.
    pub project_name: Option<String>,
    /// The domain of the user. Default `"Default"`.
    pub user_domain_name: String,
    /// The domain of the project. Default `"Default"`.
    pub project_domain_name: String,
    /// An application credential in place of user, password and project. Default: none.
    pub application_credential_id: Option<String>,
    /// Its secret. Default: none.
    pub application_credential_secret: Option<Secret>,
    /// A file with `username` and `password`, or with `application_credential_id` and `application_credential_secret`,
    /// read again at each login. Default: none. Not together with those keys.
    pub credentials_file: Option<PathBuf>,
    /// Which endpoint of Keystone in the catalog is asked about tokens. Default `"internal"`.
    pub interface: Interface,
    /// The region of that endpoint. Default: none, which takes the first. Set it where Keystone has several regions.
    pub region: Option<String>,
    /// A PEM file of certificate authorities to trust in place of the system's. Default: none.
    pub ca_bundle: Option<PathBuf>,
    /// How long connecting may take. Default `"3s"`.
    pub connect_timeout: Span,
    /// How long the answer about one token may take, login and retries included. Default `"10s"`.
    pub request_timeout: Span,
    /// How often a question is put again after a broken connection or an answer of 5xx. Default 3.
    pub retries: u32,
    /// How long an answer about a token is good for, and so how long a revoked token may go on working; `"0s"` asks
    /// Keystone at each request. Default `"5m"`.
    pub token_cache_time: Span,
    /// How many tokens are kept in memory, about 1 KiB each. Default 10000.
    pub token_cache_entries: usize,
    /// How long after `token_cache_time` a token that was good goes on while Keystone does not answer, though never
    /// past its own expiry; `"0s"` for not at all. Default: as `token_cache_time`.
    pub stale_while_unavailable: Span,
    /// The roles that make a token in `X-Service-Token` one of a service. Default `["service"]`.
    pub service_token_roles: Vec<String>,
    /// The service type of this service, which access rules of application credentials name. Default `"image"`.
    pub service_type: String,
    /// Turns unified limits on: the id of this service's endpoint in Keystone, which says whose limits to ask for.
    /// Default: none. The user of the service then needs the role `reader` for the whole deployment.
    pub limits_endpoint_id: Option<String>,
    /// How long limits are good for once they were asked. Default `"60s"`.
    pub limits_cache_time: Span,
}

impl Default for Keystone {
    fn default() -> Self {
        Self {
            auth_url: None,
            www_authenticate_uri: None,
            username: None,
            password: None,
            project_name: None,
            user_domain_name: "Default".to_owned(),
            project_domain_name: "Default".to_owned(),
            application_credential_id: None,
            application_credential_secret: None,
            credentials_file: None,
            interface: Interface::Internal,
            region: None,
            ca_bundle: None,
            connect_timeout: Span::seconds(3),
            request_timeout: Span::seconds(10),
            retries: 3,
            token_cache_time: Span::seconds(300),
            token_cache_entries: 10_000,
            stale_while_unavailable: Span::seconds(300),
            service_token_roles: vec!["service".to_owned()],
            service_type: "image".to_owned(),
            limits_endpoint_id: None,
            limits_cache_time: Span::seconds(60),
        }
    }
}

impl Keystone {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let url = |HttpUrl(url)| url;
        let token_cache_time = section.take("token_cache_time", default.token_cache_time);
        let keystone = Self {
            auth_url: section.take_optional("auth_url").map(url),
            www_authenticate_uri: section.take_optional("www_authenticate_uri").map(url),
            username: section.take_optional("username"),
            password: section.take_optional("password"),
            project_name: section.take_optional("project_name"),
            user_domain_name: section.take_word("user_domain_name", default.user_domain_name),
            project_domain_name: section
                .take_word("project_domain_name", default.project_domain_name),
            application_credential_id: section.take_optional("application_credential_id"),
            application_credential_secret: section.take_optional("application_credential_secret"),
            credentials_file: section.take_optional("credentials_file"),
            interface: section.take("interface", default.interface),
            region: section.take_optional("region"),
            ca_bundle: section.take_optional("ca_bundle"),
            connect_timeout: section.take_timeout("connect_timeout", default.connect_timeout),
            request_timeout: section.take_timeout("request_timeout", default.request_timeout),
            retries: section.take("retries", default.retries),
            token_cache_time,
            token_cache_entries: section.take("token_cache_entries", default.token_cache_entries),
            stale_while_unavailable: section.take("stale_while_unavailable", token_cache_time),
            service_token_roles: section.take("service_token_roles", default.service_token_roles),
            service_type: section.take_word("service_type", default.service_type),
            limits_endpoint_id: section.take_optional("limits_endpoint_id"),
            limits_cache_time: section.take("limits_cache_time", default.limits_cache_time),
        };
        section.require(
            keystone.token_cache_entries > 0,
            "token_cache_entries",
            "must be at least 1",
            keystone.token_cache_entries,
        );
        keystone.check_credentials(section);
        keystone
    }

    /// What may stand beside what, whether Keystone is used or not.
    fn check_credentials(&self, section: &mut Section<'_>) {
        let mut together = |given: (&str, bool), other: (&str, bool)| {
            if given.1 && !other.1 {
                section.fault(other.0, format!("is required with {}", given.0));
            }
        };
        let user = ("username", self.username.is_some());
        let id = (
            "application_credential_id",
            self.application_credential_id.is_some(),
        );
        let secret = (
            "application_credential_secret",
            self.application_credential_secret.is_some(),
        );
        together(user, ("password", self.password.is_some()));
        together(("password", self.password.is_some()), user);
        together(user, ("project_name", self.project_name.is_some()));
        together(id, secret);
        together(secret, id);
        if user.1 && id.1 {
            section.fault(id.0, "must not stand beside username");
        }
        if self.limits_endpoint_id.is_some() && id.1 {
            section.fault(
                "limits_endpoint_id",
                "must not stand beside application_credential_id, which is for one project",
            );
        }
        if self.credentials_file.is_some() && (user.1 || id.1) {
            let beside = if user.1 { user.0 } else { id.0 };
            section.fault(
                "credentials_file",
                format!("must not stand beside {beside}"),
            );
        }
    }

    /// What `auth = "keystone"` cannot do without.
    pub(super) fn check_used(&self, root: &mut Section<'_>) {
        const NEEDED: &str = "is required with auth = \"keystone\"";
        if self.auth_url.is_none() {
            root.fault("keystone.auth_url", NEEDED);
        }
        let has_credentials = self.username.is_some()
            || self.application_credential_id.is_some()
            || self.credentials_file.is_some();
        if !has_credentials {
            root.fault(
                "keystone.username",
                format!("{NEEDED}, or application_credential_id, or credentials_file"),
            );
        }
    }
}
