//! Tasks: records of long work that was asked for and goes on by itself (contract 6.6). The words only; the work is not
//! here.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident ($unknown:ident: $text:literal) { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of the task schema.
            pub(crate) const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// The word on the wire and in the catalog.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[doc = concat!("The text names no ", $text, ".")]
        #[derive(Debug, thiserror::Error, PartialEq, Eq)]
        #[error("unknown {}", $text)]
        pub(crate) struct $unknown;

        impl FromStr for $name {
            type Err = $unknown;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut all = $name::ALL.into_iter();
                all.find(|word| word.as_str() == text).ok_or($unknown)
            }
        }
    };
}

words! {
    /// What a task does.
    TaskType (UnknownTaskType: "task type") {
        /// An import by the tasks API of old.
        Import = "import",
        /// An import by `POST /v2/images/{id}/import`.
        ApiImageImport = "api_image_import",
        /// Taking over data by its location.
        LocationImport = "location_import",
    }
}

words! {
    /// How far a task is.
    TaskStatus (UnknownTaskStatus: "task status") {
        /// Not begun.
        Pending = "pending",
        /// At work.
        Processing = "processing",
        /// Ended well.
        Success = "success",
        /// Ended with an error, which its message tells.
        Failure = "failure",
    }
}
