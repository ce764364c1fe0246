//! Who sees an image (contract 4.8).

use std::fmt;
use std::str::FromStr;

use super::{Image, ProjectId};

/// The audience of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Visibility {
    /// Everybody, also in lists.
    Public,
    /// The owner.
    Private,
    /// The owner and the projects in the member list; the default.
    #[default]
    Shared,
    /// Everybody who knows the id.
    Community,
}

impl Visibility {
    /// Every visibility, in the order of the image schema.
    pub(crate) const ALL: [Visibility; 4] = [
        Visibility::Community,
        Visibility::Public,
        Visibility::Private,
        Visibility::Shared,
    ];

    /// The word on the wire and in the catalog.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
            Visibility::Shared => "shared",
            Visibility::Community => "community",
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no visibility.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown visibility")]
pub(crate) struct UnknownVisibility;

impl FromStr for Visibility {
    type Err = UnknownVisibility;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Visibility::ALL
            .into_iter()
            .find(|v| v.as_str() == text)
            .ok_or(UnknownVisibility)
    }
}

/// Through whose eyes a record is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The caller's project; `None` for a token without one.
    pub project: Option<ProjectId>,
    /// Administrators see everything that is not deleted.
    pub is_admin: bool,
}

impl Viewer {
    /// True when the image's owner is the caller's project.
    pub(crate) fn owns(&self, image: &Image) -> bool {
        image.owner.is_some() && image.owner == self.project
    }

    /// The caller's project, when the image is shared with it, whatever it has answered to that.
    pub(crate) fn membership<'a>(&self, image: &'a Image) -> Option<&'a ProjectId> {
        let project = self.project.as_ref()?;
        let is_shared = image.visibility == Visibility::Shared;
        image.members.get(project).filter(|_| is_shared)
    }

    /// True when the caller may know that the image exists.
    pub(crate) fn sees(&self, image: &Image) -> bool {
        if self.is_admin || self.owns(image) {
            return true;
        }
        match image.visibility {
            Visibility::Public | Visibility::Community => true,
            // Without an owner it is open to whoever knows its id, with members or not.
            Visibility::Shared => image.owner.is_none() || self.membership(image).is_some(),
            // Of an image without an owner there is no project to keep it for: it is the administrators'.
            Visibility::Private => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{CreateRequest, ImageId};

    fn image(owner: Option<&str>, visibility: Visibility) -> Image {
        let mut image = CreateRequest::default().into_image(ImageId::random(), None, 0);
        image.owner = owner.map(ProjectId::from);
        image.visibility = visibility;
        image
    }

    #[test]
    fn strangers_see_what_the_visibility_opens_and_no_private_image() {
        let stranger = Viewer {
            project: Some("other".into()),
            is_admin: false,
        };
        let owner = Viewer {
            project: Some("own".into()),
            is_admin: false,
        };
        let admin = Viewer {
            project: None,
            is_admin: true,
        };
        for (visibility, seen) in [
            (Visibility::Public, true),
            (Visibility::Community, true),
            (Visibility::Shared, false),
            (Visibility::Private, false),
        ] {
            let image = image(Some("own"), visibility);
            assert_eq!(stranger.sees(&image), seen, "{visibility}");
            assert!(owner.sees(&image) && admin.sees(&image), "{visibility}");
        }
        for (visibility, seen) in [(Visibility::Shared, true), (Visibility::Private, false)] {
            let mut image = image(Some("own"), visibility);
            image.members.insert("other".into());
            assert_eq!(stranger.sees(&image), seen, "member rows of {visibility}");
        }
        let nobody = Viewer {
            project: None,
            is_admin: false,
        };
        for (visibility, seen) in [
            (Visibility::Public, true),
            (Visibility::Community, true),
            (Visibility::Shared, true),
            (Visibility::Private, false),
        ] {
            let ownerless = image(None, visibility);
            for viewer in [&stranger, &owner, &nobody] {
                assert_eq!(viewer.sees(&ownerless), seen, "{viewer:?} {visibility}");
                assert!(!viewer.owns(&ownerless), "{viewer:?} {visibility}");
            }
            assert!(admin.sees(&ownerless), "{visibility}");
        }
    }
}
