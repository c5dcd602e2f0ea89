//! Resolves a revision to its commit.

use git2::{ErrorClass, ErrorCode, ObjectType, Oid};

use super::{RepositoryError, RepositoryPlace};

/// The longest revision to look up, in bytes.
const LONGEST: usize = 256;

/// The commit that a revision names (single revisions of gitrevisions(7)). libgit2 ignores grafts and replaced objects.
///
/// # Errors
/// If there is no such revision, or it is not a commit.
pub(crate) fn resolve(git: &git2::Repository, place: &RepositoryPlace, revision: &str) -> Result<Oid, RepositoryError> {
    let unknown = || no_such_revision(git, place, revision);
    // `:/text` searches the whole history for a message, and never names a kernel.
    if revision.is_empty() || revision.len() > LONGEST || revision.starts_with(':') || revision.contains("^{/") {
        return Err(unknown());
    }
    let object = git.revparse_single(revision).map_err(|error| match error.code() {
        ErrorCode::Ambiguous => RepositoryError::Ambiguous { path: place.path.clone(), revision: revision.to_owned() },
        ErrorCode::NotFound | ErrorCode::InvalidSpec => match dangling(git, revision) {
            Some(object) => place.damaged(object, "it is not there, although a ref leads to it"),
            None => unknown(),
        },
        _ => match ErrorClass::Odb == error.class() || error.class() == ErrorClass::Zlib {
            true => place.unreadable(&error),
            false => unknown(),
        },
    })?;
    match object.peel(ObjectType::Commit) {
        Ok(commit) => Ok(commit.id()),
        Err(_) => Err(RepositoryError::NotACommit {
            revision: revision.to_owned(),
            kind: match object.kind() {
                Some(ObjectType::Tag) => "tag of something other than a commit".to_owned(),
                kind => kind.map_or_else(|| "thing of an unknown kind".to_owned(), |kind| kind.str().to_owned()),
            },
        }),
    }
}

/// The error that there is no such revision, with similar names.
pub(crate) fn no_such_revision(git: &git2::Repository, place: &RepositoryPlace, revision: &str) -> RepositoryError {
    let (path, near) = (place.path.clone(), near(git, revision));
    RepositoryError::NoSuchRevision { path, revision: revision.to_owned(), near }
}

/// The missing target of a ref with this name.
fn dangling(git: &git2::Repository, name: &str) -> Option<Oid> {
    let object = git.resolve_reference_from_short_name(name).ok()?.resolve().ok()?.target()?;
    git.odb().is_ok_and(|odb| !odb.exists(object)).then_some(object)
}

/// Tags and branches with a similar name, the nearest first.
fn near(git: &git2::Repository, revision: &str) -> Vec<String> {
    let Ok(references) = git.references() else { return Vec::new() };
    let names = references.flatten().map(|reference| String::from_utf8_lossy(reference.name_bytes()).into_owned());
    let short = |name: String| {
        let kinds = ["refs/tags/", "refs/heads/", "refs/remotes/"];
        kinds.iter().find_map(|kind| name.strip_prefix(kind)).map(str::to_owned)
    };
    let bare = |name: &str| name.trim_start_matches(['v', 'V']).to_lowercase();
    let wanted = bare(revision);
    let mut near: Vec<(f64, String)> = names
        .filter_map(short)
        .map(|name| (strsim::jaro_winkler(&bare(&name), &wanted), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}
