//! What the errors of other modules mean to a client.

use super::Error;
use crate::image::{InvalidImage, Reason};
use crate::{catalog, metadef, store, transfer};

impl From<catalog::Error> for Error {
    fn from(e: catalog::Error) -> Self {
        match e {
            catalog::Error::Missing => Error::NotFound("No image found".into()),
            catalog::Error::NoNamespace => Error::NotFound("No namespace found".into()),
            catalog::Error::Taken => Error::Conflict("Image ID already exists!".into()),
            catalog::Error::Transition(step) => Error::Conflict(step.to_string()),
            catalog::Error::Protected => {
                Error::Forbidden("The image is protected and cannot be deleted.".into())
            }
            e @ catalog::Error::NotShared => {
                Error::Forbidden(format!("Members cannot be changed: {e}."))
            }
            e @ (catalog::Error::TooManyMembers { .. } | catalog::Error::NamespaceFull { .. }) => {
                Error::TooLarge(format!("Quota exceeded: {e}."))
            }
            e @ catalog::Error::NotStaged => Error::Conflict(format!("Please try again: {e}.")),
            e @ catalog::Error::LastLocation => Error::Forbidden(format!("Not allowed: {e}.")),
            catalog::Error::FormatsMissing => Error::BadRequest(
                "Properties disk_format, container_format must be set prior to saving data.".into(),
            ),
            catalog::Error::Denied(rule) => Error::denied(rule),
            e @ catalog::Error::NulInText => Error::BadRequest(format!("Not allowed: {e}.")),
            e @ catalog::Error::Changed => Error::Conflict(format!("Please try again: {e}.")),
            catalog::Error::OverQuota { quota, wanted } => Error::TooLarge(format!(
                "The project's storage quota is exceeded (user_storage_quota): {wanted} bytes needed, {quota} allowed."
            )),
            e @ catalog::Error::OverLimit { .. } => Error::TooLarge(e.to_string()),
            // Somebody else ended the attempt because this one looked dead; a new attempt will work.
            e @ (catalog::Error::LeaseLost | catalog::Error::Unavailable(_)) => {
                Error::Unavailable(e.into())
            }
            e @ catalog::Error::Other(_) => Error::Internal(e.into()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(e: store::Error) -> Self {
        match e {
            store::Error::Full(_) => Error::TooLarge("Image storage media is full.".into()),
            e @ (store::Error::Missing
            | store::Error::Denied(_)
            | store::Error::Changed
            | store::Error::Busy(_)
            | store::Error::Invalid(_)
            | store::Error::Other(_)) => Error::Unavailable(e.into()),
        }
    }
}

impl From<transfer::Error> for Error {
    fn from(e: transfer::Error) -> Self {
        match e {
            transfer::Error::Catalog(e) => e.into(),
            transfer::Error::Store(e) => e.into(),
            transfer::Error::Gone => Error::Gone(
                "The image was deleted during the upload; its data has been removed.".into(),
            ),
            e @ transfer::Error::TooLarge { .. } => Error::TooLarge(e.to_string()),
            e @ transfer::Error::SizeMismatch { .. } => Error::BadRequest(e.to_string()),
            transfer::Error::Format(refusal) => Error::UnsupportedMediaType(refusal.to_string()),
            e @ (transfer::Error::Stalled(_)
            | transfer::Error::TooSlow(_)
            | transfer::Error::HeldMemory(_)) => Error::TooSlow(e.to_string()),
            e @ transfer::Error::ClientGone(_) => Error::BadRequest(e.to_string()),
            e @ transfer::Error::DataMissing => Error::DataMissing(e.into()),
            e @ (transfer::Error::StoreUnknown(_)
            | transfer::Error::NoMemory(_)
            | transfer::Error::Stopping) => Error::Unavailable(e.into()),
            e @ transfer::Error::Import(_) => Error::Conflict(e.to_string()),
            e @ transfer::Error::Task(_) => Error::Internal(e.into()),
        }
    }
}

impl From<InvalidImage> for Error {
    fn from(e: InvalidImage) -> Self {
        match e.reason {
            Reason::Malformed => Error::BadRequest(e.message),
            Reason::NotYours => Error::Forbidden(e.message),
            Reason::Conflict => Error::Conflict(e.message),
            Reason::TooMany => Error::TooLarge(e.message),
        }
    }
}

impl From<metadef::Invalid> for Error {
    fn from(e: metadef::Invalid) -> Self {
        match e.reason {
            metadef::Reason::Malformed => Error::BadRequest(e.message),
            metadef::Reason::ReadOnly => Error::Forbidden(e.message),
            metadef::Reason::Duplicate => Error::Conflict(e.message),
        }
    }
}
