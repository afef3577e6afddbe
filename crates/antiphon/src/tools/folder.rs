//! The one folder whose files tools may read and write.

use std::{
    fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use antiphon_core::{Error, ErrorKind};

/// Bytes of the largest file that is read as a whole.
const LARGEST: u64 = 8 << 20;

/// A folder. Tools are used by a model that has read who knows what, so they touch no file outside it: neither by `..`, nor
/// by an absolute path, nor by a link.
#[derive(Clone, Debug)]
pub struct Folder {
    place: Result<Place, String>,
}

#[derive(Clone, Debug)]
struct Place {
    /// As it was named.
    named: PathBuf,
    /// Without links.
    real: PathBuf,
}

impl Folder {
    /// The folder of this name.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: there is none.
    pub fn at(path: &Path) -> Result<Self, Error> {
        let real = fs::canonicalize(path).and_then(|real| match real.is_dir() {
            true => Ok(real),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        let real = real.map_err(|error| refused(format!("{}: {error}", path.display())))?;
        let place = Place {
            named: std::path::absolute(path).unwrap_or_else(|_| real.clone()),
            real,
        };
        Ok(Self { place: Ok(place) })
    }

    /// The working folder. Where that is `/`, in which desktop clients start servers, there is none.
    pub fn working() -> Self {
        let folder = std::env::current_dir().map_err(|error| error.to_string());
        Self::of_working(folder)
    }

    fn of_working(folder: Result<PathBuf, String>) -> Self {
        let instead = "; start it as `antiphon mcp --folder DIR`, with the folder whose files it may read and write";
        let place = match folder {
            Err(error) => Err(format!(
                "this server has no working folder ({error}){instead}"
            )),
            Ok(folder) if folder.parent().is_none() => Err(format!(
                "this server was started in {}, and no file there is its business{instead}",
                folder.display()
            )),
            Ok(folder) => Self::at(&folder)
                .and_then(|folder| folder.place.map_err(refused))
                .map_err(|error| error.message().to_owned()),
        };
        Self { place }
    }

    /// A file in it that is there, to be read.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`] with what is wrong.
    pub(super) fn input(&self, named: &str) -> Result<PathBuf, Error> {
        let (place, path) = self.resolve(named)?;
        let real = fs::canonicalize(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refused(format!(
                "there is no file {named} in {}",
                place.real.display()
            )),
            _ => refused(format!("{named} cannot be read: {error}")),
        })?;
        if !real.starts_with(&place.real) {
            return Err(place.leads_out(named));
        }
        if !real.is_file() {
            return Err(refused(format!(
                "{named} is no file that could be read twice"
            )));
        }
        Ok(path)
    }

    /// A file in it, there or not, to be written by a job.
    ///
    /// # Errors
    /// As [`Self::input`].
    pub(super) fn output(&self, named: &str) -> Result<PathBuf, Error> {
        let (_, path) = self.resolve(named)?;
        refuse_link(&path)?;
        if path.exists() && !path.is_file() {
            return Err(refused(format!("{named} is there and is no file")));
        }
        let mut state = path.clone().into_os_string();
        state.push(".antiphon");
        let state = PathBuf::from(state);
        refuse_link(&state)?;
        for entry in fs::read_dir(&state).into_iter().flatten().flatten() {
            refuse_link(&entry.path())?;
        }
        Ok(path)
    }

    /// Where a name leads, whose folder is surely within this one.
    fn resolve(&self, named: &str) -> Result<(&Place, PathBuf), Error> {
        let place = self.place.as_ref().map_err(|why| refused(why.clone()))?;
        if matches!(named, "" | "-") || named.contains('\0') {
            let message =
                format!("{named:?} is no name of a file; there is no stdin or stdout here");
            return Err(refused(message));
        }
        let path = Path::new(named);
        let goes_up = path.components().any(|part| part == Component::ParentDir);
        let elsewhere =
            path.is_absolute() && !path.starts_with(&place.real) && !path.starts_with(&place.named);
        if goes_up || elsewhere {
            return Err(place.leads_out(named));
        }
        let path = place.real.join(path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(format!("{named} names no file")));
        };
        let folder = fs::canonicalize(folder)
            .map_err(|error| refused(format!("the folder of {named} cannot be used: {error}")))?;
        if !folder.starts_with(&place.real) {
            return Err(place.leads_out(named));
        }
        Ok((place, folder.join(name)))
    }
}

impl Place {
    fn leads_out(&self, named: &str) -> Error {
        let folder = self.real.display();
        refused(format!(
            "{named} is not in {folder}, the only folder whose files this server reads and writes (`antiphon mcp --folder` \
             names another); name a file in it"
        ))
    }
}

/// The text of a small file.
///
/// # Errors
/// It cannot be read, or is larger than anybody writes by hand.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => {
            let message = format!("it is larger than {} MiB", LARGEST >> 20);
            Err(io::Error::other(message))
        }
        false => Ok(text),
    }
}

/// A link may be turned to another place at any time, and is written through.
fn refuse_link(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => {
            let message = format!("{} is a link and is not written through", path.display());
            Err(refused(message))
        }
        _ => Ok(()),
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_file_is_read_without_end() {
        let own = tempfile::tempdir().unwrap();
        let (small, large) = (own.path().join("small"), own.path().join("large"));
        fs::write(&small, "{}").unwrap();
        assert_eq!(text(&small).unwrap(), "{}");
        // it takes no room on the disk, and would take all memory
        fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
        assert!(text(&large).unwrap_err().to_string().contains("8 MiB"));
    }

    #[test]
    fn only_files_within_are_named() {
        let outside = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let (root, other) = (own.path(), outside.path());
        fs::create_dir(root.join("sub")).unwrap();
        for file in [
            root.join("in.jsonl"),
            root.join("sub/in.jsonl"),
            other.join("x.jsonl"),
        ] {
            fs::write(file, "{}").unwrap();
        }
        symlink(other, root.join("way-out")).unwrap();
        symlink(other.join("x.jsonl"), root.join("link.jsonl")).unwrap();
        symlink(other.join("new.jsonl"), root.join("dangling.jsonl")).unwrap();
        symlink(root.join("in.jsonl"), root.join("inner.jsonl")).unwrap();
        let folder = Folder::at(root).unwrap();
        let real = fs::canonicalize(root).unwrap();

        let absolute = root.join("in.jsonl").display().to_string();
        for good in [
            "in.jsonl",
            "sub/in.jsonl",
            "./in.jsonl",
            "inner.jsonl",
            &absolute,
        ] {
            assert!(folder.input(good).unwrap().starts_with(&real), "{good}");
        }
        let elsewhere = other.join("x.jsonl").display().to_string();
        let outside_of_it = [
            "../x.jsonl",
            "sub/../in.jsonl",
            "way-out/x.jsonl",
            &elsewhere,
        ];
        for bad in outside_of_it {
            let error = folder.input(bad).unwrap_err();
            assert!(
                error.message().contains("the only folder"),
                "{bad}: {error}"
            );
            let error = folder.output(bad).unwrap_err();
            assert!(
                error.message().contains("the only folder"),
                "{bad}: {error}"
            );
        }
        for bad in ["", "-", "link.jsonl", "none.jsonl", "sub", "/", ".", "a\0b"] {
            assert_eq!(
                folder.input(bad).unwrap_err().kind(),
                ErrorKind::BadRequest,
                "{bad:?}"
            );
        }

        assert_eq!(
            folder.output("sub/out.jsonl").unwrap(),
            real.join("sub/out.jsonl")
        );
        for bad in [
            "",
            "-",
            "link.jsonl",
            "dangling.jsonl",
            "inner.jsonl",
            "sub",
            "none/out.jsonl",
        ] {
            assert_eq!(
                folder.output(bad).unwrap_err().kind(),
                ErrorKind::BadRequest,
                "{bad:?}"
            );
        }
        // nor by the state of a job
        symlink(other, root.join("a.jsonl.antiphon")).unwrap();
        assert!(folder.output("a.jsonl").is_err());
        fs::create_dir(root.join("b.jsonl.antiphon")).unwrap();
        symlink(other.join("l"), root.join("b.jsonl.antiphon/ledger.db")).unwrap();
        assert!(folder.output("b.jsonl").is_err());
    }

    #[test]
    fn the_root_of_the_disk_is_a_folder_only_where_it_was_named() {
        let folder = Folder::of_working(Ok("/".into()));
        let error = folder.output("out.jsonl").unwrap_err();
        assert!(error.message().contains("--folder DIR"), "{error}");
        assert!(
            Folder::at(Path::new("/"))
                .unwrap()
                .output("out.jsonl")
                .is_ok()
        );
        assert!(Folder::at(Path::new("/no such folder")).is_err());
    }
}
