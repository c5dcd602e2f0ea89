//! The reason that a kernel could not be obtained, and the caller's options.

use std::error::Error;
use std::fmt;

use super::error_class::{Blame, ClassedError, ErrorClass};

/// The reason that a kernel could not be obtained: the error's class, and the error of the room where it happened.
#[derive(Debug)]
pub struct ObtainError {
    class: ErrorClass,
    cause: Box<dyn Error + Send + Sync>,
}

impl ObtainError {
    /// The class of the failure, which determines the remedy.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether the package, suite, build or file is not served (any more).
    pub fn is_gone(&self) -> bool {
        self.class == ErrorClass::Gone
    }

    /// The party that can fix it.
    pub fn blame(&self) -> Blame {
        self.class.blame()
    }
}

impl<E: ClassedError> From<E> for ObtainError {
    fn from(error: E) -> Self {
        Self { class: error.class(), cause: error.into() }
    }
}

impl fmt::Display for ObtainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for ObtainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::kernel::file_error::FileError;

    #[test]
    fn room_error_keeps_its_words_cause_and_class() {
        let missing = FileError::unusable("the image", Path::new("/a"), "does not exist");
        let error = ObtainError::from(missing);
        assert_eq!((error.to_string().as_str(), error.blame()), ("the image /a does not exist", Blame::User));
        assert!(error.source().is_none() && !error.is_gone());
        let unreadable = FileError::io("read", Path::new("/a"), io::ErrorKind::PermissionDenied.into());
        let error = ObtainError::from(unreadable);
        assert_eq!((error.to_string().as_str(), error.class()), ("cannot read /a", ErrorClass::Host));
        assert!(error.source().is_some_and(|cause| cause.is::<io::Error>()));
        for (class, blame) in [
            (ErrorClass::Gone, Blame::User),
            (ErrorClass::Usage, Blame::User),
            (ErrorClass::NotCached, Blame::Host),
            (ErrorClass::Host, Blame::Host),
        ] {
            assert_eq!(class.blame(), blame, "{class:?}");
        }
    }
}
