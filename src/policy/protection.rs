//! Property protection (contract 4.2): which callers may create, read, change and delete which extra properties.
//!
//! The file is that of the reference service: sections whose names are regular expressions, searched anywhere in the
//! name of a property; the first that matches decides. A property that none matches is denied to everyone.

use regex_lite::Regex;

use super::{Caller, Policy};

/// What is done to a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Give an image a property it does not have.
    Create,
    /// Read its value.
    Read,
    /// Change its value.
    Update,
    /// Delete it.
    Delete,
}

impl Access {
    const ALL: [Access; 4] = [Access::Create, Access::Read, Access::Update, Access::Delete];

    /// The key in a section.
    fn as_str(self) -> &'static str {
        match self {
            Access::Create => "create",
            Access::Read => "read",
            Access::Update => "update",
            Access::Delete => "delete",
        }
    }
}

/// What the values of the file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Roles, one of which the caller must have.
    Roles,
    /// The name of one rule of the policy.
    Policies,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Permission {
    Everybody,
    Nobody,
    Roles(Vec<String>),
    Rule(String),
}

#[derive(Debug)]
struct Section {
    pattern: Regex,
    permissions: [Permission; 4],
}

/// A file of property protections.
#[derive(Debug)]
pub(crate) struct Protections(Vec<Section>);

/// The text is no file of property protections.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {rule}")]
pub(crate) struct InvalidProtections {
    line: usize,
    rule: String,
}

impl Protections {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub(crate) fn parse(text: &str, format: Format) -> Result<Self, InvalidProtections> {
        let mut sections: Vec<Section> = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let invalid = |rule: String| InvalidProtections { line, rule };
            let content = content.trim();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = content.strip_prefix('[') {
                let name = name
                    .strip_suffix(']')
                    .ok_or_else(|| invalid("a section must end with ']'".into()))?;
                let pattern = Regex::new(name)
                    .map_err(|e| invalid(format!("'{name}' is no regular expression: {e}")))?;
                sections.push(Section {
                    pattern,
                    // What a section does not name is denied to everyone.
                    permissions: [const { Permission::Nobody }; 4],
                });
                continue;
            }
            let (key, value) = content
                .split_once(['=', ':'])
                .ok_or_else(|| invalid("must be a section or 'key = value'".into()))?;
            let access = Access::ALL
                .into_iter()
                .find(|access| access.as_str() == key.trim())
                .ok_or_else(|| invalid("the key must be create, read, update or delete".into()))?;
            let section = sections
                .last_mut()
                .ok_or_else(|| invalid("stands before the first section".into()))?;
            section.permissions[access as usize] =
                permission(value.trim(), format).map_err(|rule| invalid(rule.into()))?;
        }
        Ok(Self(sections))
    }

    /// Whether the caller may do that to the property. The service's own properties are outside of this.
    pub(crate) fn allow(
        &self,
        access: Access,
        property: &str,
        caller: &Caller,
        policy: &Policy,
    ) -> bool {
        if property.starts_with("os_glance") {
            return true;
        }
        let section = self
            .0
            .iter()
            .find(|section| section.pattern.is_match(property));
        let Some(section) = section else {
            return false;
        };
        match &section.permissions[access as usize] {
            Permission::Everybody => true,
            Permission::Nobody => false,
            Permission::Roles(roles) => roles.iter().any(|role| caller.has_role(role)),
            Permission::Rule(name) => policy.allows_by_name(name, caller),
        }
    }
}

fn permission(value: &str, format: Format) -> Result<Permission, &'static str> {
    let words: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .collect();
    match (words.as_slice(), format) {
        ([], _) => Ok(Permission::Nobody),
        (["@"], _) => Ok(Permission::Everybody),
        (["!"], _) => Ok(Permission::Nobody),
        (words, _) if words.contains(&"@") || words.contains(&"!") => {
            Err("'@' (everybody) and '!' (nobody) must stand alone")
        }
        (words, Format::Roles) => Ok(Permission::Roles(
            words.iter().map(|&word| word.to_owned()).collect(),
        )),
        ([rule], Format::Policies) => Ok(Permission::Rule((*rule).to_owned())),
        (_, Format::Policies) => Err("must be one rule of the policy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: &str) -> Caller {
        Caller {
            roles: vec![role.to_owned()],
            ..Caller::default()
        }
    }

    #[test]
    fn the_first_section_that_matches_anywhere_decides() {
        let text = "# ours\n[^x_billing]\ncreate = admin, billing\nread = admin, Billing\nupdate = !\n\n[billing]\n\
                    read : @\n; the rest\n[.*]\ncreate = @\nread = @\nupdate = @\ndelete = @\n";
        let protections = Protections::parse(text, Format::Roles).unwrap();
        let policy = Policy::defaults();
        let may = |access, property: &str, role: &str| {
            protections.allow(access, property, &caller(role), &policy)
        };
        for (property, role, allowed) in [
            ("x_billing_code", "billing", "cr--"),
            ("x_billing_code", "BILLING", "cr--"),
            ("x_billing_code", "member", "----"),
            ("my_billing", "admin", "-r--"),
            ("hw_cpu", "member", "crud"),
            ("os_glance_failed_import", "nobody", "crud"),
        ] {
            let got: String = Access::ALL
                .into_iter()
                .zip("crud".chars())
                .map(|(access, letter)| {
                    if may(access, property, role) {
                        letter
                    } else {
                        '-'
                    }
                })
                .collect();
            assert_eq!(got, allowed, "{property} {role}");
        }
        let none = Protections::parse("", Format::Roles).unwrap();
        assert!(!none.allow(Access::Read, "anything", &caller("admin"), &policy));
    }

    #[test]
    fn values_may_be_rules_of_the_policy() {
        let protections = Protections::parse(
            "[.*]\nread = auditors\ncreate = no_such_rule\n",
            Format::Policies,
        )
        .unwrap();
        let policy = Policy::parse("auditors: role:auditor").unwrap();
        let may = |access, role: &str| protections.allow(access, "p", &caller(role), &policy);
        assert!(may(Access::Read, "auditor") && !may(Access::Read, "admin"));
        assert!(!may(Access::Create, "admin"));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (text, format, line) in [
            ("[a", Format::Roles, 1),
            ("\n[(]", Format::Roles, 2),
            ("read = x", Format::Roles, 1),
            ("[a]\nlook = x", Format::Roles, 2),
            ("[a]\nread", Format::Roles, 2),
            ("[a]\nread = @, admin", Format::Roles, 2),
            ("[a]\nread = a, b", Format::Policies, 2),
        ] {
            let error = Protections::parse(text, format).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }
}
