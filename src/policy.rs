//! Who may do what: the rules of contract 5.4 for the routes that exist, with their secure defaults.
//!
//! Pure. Visibility comes first and is not asked here: a caller who may not know of an image gets 404 before any rule is
//! looked at.

use crate::image::{Image, Viewer, Visibility};

/// A rule by its name in policy files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `add_image`: create a record owned by the given project.
    AddImage,
    /// `get_images`: list.
    GetImages,
    /// `get_image`: read a record.
    GetImage,
    /// `modify_image`: PATCH.
    ModifyImage,
    /// `delete_image`.
    DeleteImage,
    /// `upload_image`.
    UploadImage,
    /// `download_image`: needs the member role; a reader may look at the record only.
    DownloadImage,
    /// `deactivate`.
    Deactivate,
    /// `reactivate`.
    Reactivate,
    /// `publicize_image`.
    PublicizeImage,
    /// `communitize_image`.
    CommunitizeImage,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 11] = [
        Rule::AddImage,
        Rule::GetImages,
        Rule::GetImage,
        Rule::ModifyImage,
        Rule::DeleteImage,
        Rule::UploadImage,
        Rule::DownloadImage,
        Rule::Deactivate,
        Rule::Reactivate,
        Rule::PublicizeImage,
        Rule::CommunitizeImage,
    ];

    /// The name in policy files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::AddImage => "add_image",
            Rule::GetImages => "get_images",
            Rule::GetImage => "get_image",
            Rule::ModifyImage => "modify_image",
            Rule::DeleteImage => "delete_image",
            Rule::UploadImage => "upload_image",
            Rule::DownloadImage => "download_image",
            Rule::Deactivate => "deactivate",
            Rule::Reactivate => "reactivate",
            Rule::PublicizeImage => "publicize_image",
            Rule::CommunitizeImage => "communitize_image",
        }
    }
}

/// What a rule may know of the caller. Roles imply the lower ones: admin, member, reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Project and administrator's eye.
    pub viewer: Viewer,
    /// Has the role member.
    pub is_member: bool,
    /// Has the role reader.
    pub is_reader: bool,
}

impl Caller {
    /// Asks a rule about an image, for [`Rule::AddImage`] the one to be made. Rules that are about no image are asked
    /// with `None`.
    pub fn may(&self, rule: Rule, image: Option<&Image>) -> bool {
        if self.viewer.is_admin {
            return true;
        }
        let owns = image.is_some_and(|image| self.viewer.owns(image));
        let reaches = image.is_some_and(|image| {
            owns || image.owner.is_none()
                || matches!(image.visibility, Visibility::Public | Visibility::Community)
        });
        match rule {
            Rule::GetImages => self.is_reader,
            Rule::GetImage => self.is_reader && reaches,
            Rule::DownloadImage => self.is_member && reaches,
            Rule::AddImage
            | Rule::ModifyImage
            | Rule::DeleteImage
            | Rule::UploadImage
            | Rule::Deactivate
            | Rule::Reactivate
            | Rule::CommunitizeImage => self.is_member && owns,
            Rule::PublicizeImage => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{CreateRequest, ImageId};

    fn caller(project: &str, role: &str) -> Caller {
        Caller {
            viewer: Viewer {
                project: Some(project.into()),
                is_admin: role == "admin",
            },
            is_member: matches!(role, "admin" | "member"),
            is_reader: matches!(role, "admin" | "member" | "reader"),
        }
    }

    /// Contract 5.4, a row per rule: admin, owner's member, owner's reader, other project's member, its reader, nobody.
    #[test]
    fn the_default_matrix() {
        let callers = [
            caller("other", "admin"),
            caller("own", "member"),
            caller("own", "reader"),
            caller("other", "member"),
            caller("other", "reader"),
            caller("own", "none"),
        ];
        let matrix = [
            (Rule::AddImage, "yy----", "yy----"),
            (Rule::GetImages, "yyyyy-", "yyyyy-"),
            (Rule::GetImage, "yyy---", "yyyyy-"),
            (Rule::ModifyImage, "yy----", "yy----"),
            (Rule::DeleteImage, "yy----", "yy----"),
            (Rule::UploadImage, "yy----", "yy----"),
            (Rule::DownloadImage, "yy----", "yy-y--"),
            (Rule::Deactivate, "yy----", "yy----"),
            (Rule::Reactivate, "yy----", "yy----"),
            (Rule::PublicizeImage, "y-----", "y-----"),
            (Rule::CommunitizeImage, "yy----", "yy----"),
        ];
        assert_eq!(matrix.map(|row| row.0), Rule::ALL);
        let mut image =
            CreateRequest::default().into_image(ImageId::random(), Some("own".into()), 0);
        for (rule, private, public) in matrix {
            for (visibility, expected) in
                [(Visibility::Private, private), (Visibility::Public, public)]
            {
                image.visibility = visibility;
                let got: String = callers
                    .iter()
                    .map(|c| if c.may(rule, Some(&image)) { 'y' } else { '-' })
                    .collect();
                assert_eq!(got, expected, "{} on a {visibility} image", rule.as_str());
            }
        }
    }
}
