use super::*;
use crate::image::{CreateRequest, Image, ImageId, Viewer, Visibility};

fn caller(project: &str, roles: &[&str]) -> Caller {
    Caller {
        user_id: "u".into(),
        project_id: Some(project.into()),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        ..Caller::default()
    }
}

fn image(owner: Option<&str>, visibility: Visibility) -> Image {
    let mut image = CreateRequest::default().into_image(ImageId::random(), None, 0);
    image.owner = owner.map(Into::into);
    image.visibility = visibility;
    image
}

fn asks(policy: &Policy, rule: Rule, caller: &Caller, image: &Image) -> bool {
    let viewer = Viewer {
        project: caller.project_id.clone(),
        is_admin: policy.is_admin(caller),
    };
    policy.allows(rule, caller, &ImageTarget::new(image, &viewer))
}

/// Whether a rule of this text holds for the member of project `own` and a public image of his.
fn holds(text: &str) -> bool {
    let policy = Policy::parse(&format!("get_image: {text:?}")).unwrap();
    let caller = caller("own", &["Member", "reader"]);
    asks(
        &policy,
        Rule::GetImage,
        &caller,
        &image(Some("own"), Visibility::Public),
    )
}

/// Contract 5.4, a row per image rule: administrator, owner's member and reader, the member and reader of a project it
/// is shared with, other project's member and reader, the service role, a caller without a known role.
#[test]
fn the_default_matrix() {
    let callers = [
        caller("site", &["admin", "member", "reader"]),
        caller("own", &["member", "reader"]),
        caller("own", &["reader"]),
        caller("guest", &["member", "reader"]),
        caller("guest", &["reader"]),
        caller("other", &["member", "reader"]),
        caller("other", &["reader"]),
        caller("site", &["service"]),
        caller("own", &["auditor"]),
    ];
    let policy = Policy::defaults();
    assert_eq!(policy.problems(), [""; 0]);
    for (rule, shared, public) in [
        (Rule::AddImage, "yy-------", "yy-------"),
        (Rule::GetImages, "yyyyyyy--", "yyyyyyy--"),
        // Who sees a shared image is decided before a rule is asked.
        (Rule::GetImage, "yyyyyyy--", "yyyyyyy--"),
        (Rule::ModifyImage, "yy-------", "yy-------"),
        (Rule::DeleteImage, "yy-------", "yy-------"),
        (Rule::UploadImage, "yy-------", "yy-------"),
        (Rule::DownloadImage, "yy-y-y---", "yy-y-y---"),
        (Rule::DownloadFromStore, "yy-y-y---", "yy-y-y---"),
        (Rule::CopyImage, "y--------", "y--------"),
        (Rule::Deactivate, "yy-------", "yy-------"),
        (Rule::Reactivate, "yy-------", "yy-------"),
        (Rule::PublicizeImage, "y--------", "y--------"),
        (Rule::CommunitizeImage, "yy-------", "yy-------"),
        (Rule::GetImageLocation, "yyy------", "yyy------"),
        (Rule::SetImageLocation, "yy-------", "yy-------"),
        (Rule::DeleteImageLocation, "y--------", "y--------"),
        (Rule::FetchImageLocation, "y------y-", "y------y-"),
        (Rule::AddMember, "yy-------", "yy-------"),
        (Rule::DeleteMember, "yy-------", "yy-------"),
        (Rule::GetMember, "yyyyy----", "yyy------"),
        (Rule::GetMembers, "yyyyyyy--", "yyy------"),
        (Rule::ModifyMember, "y--y-----", "y--------"),
        (Rule::StoresInfoDetail, "y------y-", "y------y-"),
        (Rule::TasksApiAccess, "y--------", "y--------"),
        (Rule::GetTask, "yyyyyyyyy", "yyyyyyyyy"),
        (Rule::GetTasks, "yyyyyyyyy", "yyyyyyyyy"),
    ] {
        for (visibility, expected) in [(Visibility::Shared, shared), (Visibility::Public, public)] {
            let mut image = image(Some("own"), visibility);
            image.members.insert("guest".into());
            let got: String = callers
                .iter()
                .map(|caller| {
                    if asks(&policy, rule, caller, &image) {
                        'y'
                    } else {
                        '-'
                    }
                })
                .collect();
            assert_eq!(got, expected, "{} on a {visibility} image", rule.as_str());
        }
    }
}

#[test]
fn metadata_definitions_are_read_by_the_owner_and_when_public_and_written_by_administrators() {
    let policy = Policy::defaults();
    for rule in Rule::ALL
        .into_iter()
        .filter(|rule| rule.as_str().contains("metadef"))
    {
        let reads = rule.as_str().starts_with("get_") || rule.as_str().starts_with("list_");
        for (project, visibility, seen) in [
            ("own", "private", true),
            ("own", "public", true),
            ("other", "public", true),
            ("other", "private", false),
        ] {
            let target = [
                ("project_id", Value::Text("own")),
                ("visibility", Value::Text(visibility)),
            ];
            let reader = caller(project, &["reader"]);
            let got = policy.allows(rule, &reader, &Fields(&target));
            assert_eq!(
                got,
                reads && seen,
                "{} {project} {visibility}",
                rule.as_str()
            );
            let admin = caller("site", &["admin"]);
            assert!(
                policy.allows(rule, &admin, &Fields(&target)),
                "{}",
                rule.as_str()
            );
        }
    }
}

#[test]
fn a_system_scoped_token_passes_no_rule() {
    let policy = Policy::parse("get_images: \"@\"").unwrap();
    let system = Caller {
        scope: Scope::System,
        ..caller("own", &["admin", "member", "reader"])
    };
    assert!(!policy.allows(Rule::GetImages, &system, &Nothing));
    assert!(!policy.is_admin(&system));
}

#[test]
fn an_image_without_an_owner_is_owned_by_none_and_read_by_others_unless_private() {
    let policy = Policy::defaults();
    let ownerless = image(None, Visibility::Private);
    let mut nobody = caller("x", &["member", "reader"]);
    nobody.project_id = None;
    assert!(!asks(&policy, Rule::GetImage, &nobody, &ownerless));
    assert!(!asks(&policy, Rule::DownloadImage, &nobody, &ownerless));
    let shared = image(None, Visibility::Shared);
    assert!(asks(&policy, Rule::GetImage, &nobody, &shared));
    assert!(asks(&policy, Rule::DownloadImage, &nobody, &shared));
    // Not even a project that is called as nothing is written.
    for name in ["", "None", "null"] {
        for own in [&nobody, &caller(name, &["member", "reader"])] {
            for rule in [Rule::ModifyImage, Rule::DeleteImage, Rule::AddImage] {
                assert!(!asks(&policy, rule, own, &ownerless), "{name:?} {rule:?}");
                assert!(!asks(&policy, rule, own, &shared), "{name:?} {rule:?}");
            }
        }
    }
}

#[test]
fn a_property_gives_no_rights_by_its_name() {
    let policy = Policy::defaults();
    let mut stranger = image(Some("own"), Visibility::Private);
    for name in ["project_id", "owner", "member_id", "member", "visibility"] {
        stranger
            .properties
            .insert(name.into(), Some("other".into()));
    }
    assert!(!asks(
        &policy,
        Rule::ModifyImage,
        &caller("other", &["member"]),
        &stranger
    ));
    assert!(!asks(
        &policy,
        Rule::GetImage,
        &caller("other", &["reader"]),
        &stranger
    ));
}

#[test]
fn checks_compare_roles_attributes_and_literals() {
    for (text, expected) in [
        ("", true),
        ("@", true),
        ("!", false),
        ("role:member", true),
        ("role:MEMBER", true),
        ("role:admin", false),
        ("rule:default", true),
        ("rule:context_is_admin", false),
        ("is_admin:True", false),
        ("is_admin:False", true),
        ("project_id:%(project_id)s", true),
        ("tenant:%(owner)s", true),
        ("user_id:u", true),
        ("user_id:%(user_id)s", false),
        ("'public':%(visibility)s", true),
        ("'private':%(visibility)s", false),
        ("False:%(protected)s", true),
        ("True:%(protected)s", false),
        ("None:%(name)s", true),
        ("0:%(min_disk)s", true),
        ("'x-public':x-%(visibility)s", true),
        ("'x':%(nonsense)s", false),
        ("nonsense:x", false),
        ("nonsense:%(nonsense)s", false),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    for (text, expected) in [
        ("@ or ! and !", true),
        ("(@ or !) and !", false),
        ("! and ! or @", true),
        ("not ! and !", false),
        ("not (! and !)", true),
        ("not not @", true),
        ("NOT @ OR @", true),
        ("((role:member) and (not (role:admin)))", true),
        (
            "role:member and project_id:%(project_id)s and (role:admin or 'public':%(visibility)s)",
            true,
        ),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_understood_is_never_fulfilled_and_told() {
    for text in [
        "role",
        "(@",
        "@)",
        "@ @",
        "and @",
        "@ or",
        "not",
        ":x",
        "rule:no_such_rule",
        "rule:get_image",
        "http://example.org/%(id)s",
        "'x':%(unclosed",
        &"(".repeat(5000),
    ] {
        let policy = Policy::parse(&format!("get_image: {text:?}")).unwrap();
        assert_eq!(
            policy.problems().len(),
            1,
            "{text}: {:?}",
            policy.problems()
        );
        assert!(policy.problems()[0].starts_with("get_image: "), "{text}");
        assert!(!holds(text), "{text}");
        let admin = caller("site", &["admin"]);
        assert!(
            policy.allows(Rule::DeleteImage, &admin, &Nothing),
            "other rules stay"
        );
    }
}

#[test]
fn a_file_replaces_the_rules_it_names_and_no_others() {
    let policy = Policy::parse(
        "# ours\nget_images: \"role:auditor\"\nupload_image: rule:uploaders\nuploaders: role:ci\n\
         publicize_image: [[\"role:member\", \"project_id:%(project_id)s\"], [\"role:ci\"]]\nunknown_to_us: \"@\"\n",
    )
    .unwrap();
    assert_eq!(policy.problems(), [""; 0]);
    let image = image(Some("own"), Visibility::Private);
    let allowed = |rule, role: &str| asks(&policy, rule, &caller("own", &[role]), &image);
    assert!(allowed(Rule::GetImages, "auditor") && !allowed(Rule::GetImages, "admin"));
    assert!(allowed(Rule::UploadImage, "ci") && !allowed(Rule::UploadImage, "member"));
    assert!(allowed(Rule::PublicizeImage, "member") && allowed(Rule::PublicizeImage, "ci"));
    assert!(!allowed(Rule::PublicizeImage, "reader"));
    assert!(allowed(Rule::DeleteImage, "member"), "the default stays");
    for same in ["", "# nothing\n", "{}"] {
        assert!(Policy::parse(same).is_ok(), "{same:?}");
    }
    for bad in ["- a\n- b", "a: [", "just text", "1: \"@\""] {
        assert!(Policy::parse(bad).is_err(), "{bad:?}");
    }
    // Nothing after the colon is a slip of the pen, not a rule for everybody.
    assert_eq!(Policy::parse("get_images:").unwrap().problems().len(), 1);
}

#[test]
fn the_sample_file_has_every_rule_with_its_default() {
    let sample = include_str!("../../config/policy.yaml");
    let mut found: Vec<(&str, &str)> = sample
        .lines()
        .filter_map(|line| {
            line.strip_prefix("#\"")?
                .strip_suffix('"')?
                .split_once("\": \"")
        })
        .collect();
    found.sort_unstable();
    let mut expected: Vec<(&str, &str)> = Rule::ALL
        .map(|rule| (rule.as_str(), rule.default_check()))
        .into_iter()
        .chain(rules::BASES)
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let uncommented: String = sample
        .lines()
        .map(|line| {
            line.strip_prefix("#\"")
                .map_or(String::new(), |rest| format!("\"{rest}\n"))
        })
        .collect();
    assert_eq!(Policy::parse(&uncommented).unwrap().problems(), [""; 0]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z:()%@! ']{0,60}") {
        let _ = parse::rule(&text);
    }
}
