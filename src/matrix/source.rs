//! Where a kernel comes from.

use std::path::PathBuf;

/// The source of one kernel of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A package, or a meta-package, that apt can serve.
    Apt {
        /// The package's name.
        package: String,
        /// The suite to take it from; where none is named, the host's own.
        suite: Option<String>,
    },
    /// Package files: one that holds the image, and those that hold its modules.
    Deb(Vec<PathBuf>),
    /// A bzImage, vmlinuz or ELF vmlinux.
    Image {
        /// The image.
        image: PathBuf,
        /// A folder with its modules.
        modules: Option<PathBuf>,
        /// Its configuration (.config).
        config: Option<PathBuf>,
    },
    /// A kernel build tree.
    Tree(PathBuf),
}
