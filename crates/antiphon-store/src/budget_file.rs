//! [`BudgetFile`]: what may have been spent, as a file: by a job without a ledger, or with a key of the gateway on one day.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::{BoxFuture, Error, ErrorKind, Usd, layers::spend::Vault};

use crate::state_dir::private_file;

/// The file: whole picodollars, and nothing else. It is replaced as a whole.
#[derive(Clone, Debug)]
pub struct BudgetFile {
    path: PathBuf,
    order: Arc<Mutex<Order>>,
}

/// Writes go to threads, which may overtake each other: the latest asked for wins.
#[derive(Debug, Default)]
struct Order {
    asked: u64,
    written: u64,
}

impl BudgetFile {
    /// Name of the file in the state folder.
    pub const FILE: &'static str = "budget";

    /// That of a state folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::at(folder.join(Self::FILE))
    }

    /// That of a path, beside which a file that ends in `.new` may appear.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            order: Arc::default(),
        }
    }

    /// The most that runs so far have spent; nothing where there is no file.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot be read, or holds something else.
    pub fn most_spent(&self) -> Result<Usd, Error> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Usd::ZERO),
            text => text.map_err(|error| self.failed(&error))?,
        };
        let picos = text.trim().parse().map(Usd::from_picos);
        picos.map_err(|_| {
            let path = self.path.display();
            let message =
                format!("{path} is damaged: what was spent is not known; remove it to count anew");
            Error::new(ErrorKind::Ledger, message)
        })
    }

    /// Notes it; durable when this returns.
    ///
    /// # Errors
    /// [`ErrorKind::Ledger`]: it cannot be written.
    pub fn write(&self, most: Usd) -> Result<(), Error> {
        let number = self.ask();
        self.write_as(number, most)
    }

    fn ask(&self) -> u64 {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.asked += 1;
        order.asked
    }

    fn write_as(&self, number: u64, most: Usd) -> Result<(), Error> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if order.written > number {
            return Ok(());
        }
        self.replace(most).map_err(|error| self.failed(&error))?;
        order.written = number;
        Ok(())
    }

    fn replace(&self, most: Usd) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        let mut file = private_file(&aside)?;
        file.set_len(0)?;
        writeln!(file, "{}", most.picos())?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)?;
        // the name is in the folder, which must be on disk too
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    fn failed(&self, error: &io::Error) -> Error {
        let message = format!("{}: {error}", self.path.display());
        Error::new(ErrorKind::Ledger, message)
    }
}

impl Vault for BudgetFile {
    fn keep(&self, ceiling: Usd) -> BoxFuture<'static, Result<(), Error>> {
        let (file, number) = (self.clone(), self.ask());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || file.write_as(number, ceiling));
            let ended = || Error::stopped("stopped while the budget was noted");
            written.await.unwrap_or_else(|_| Err(ended()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_amount_stands_and_anything_else_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = BudgetFile::in_folder(folder.path());
        assert_eq!(file.most_spent().unwrap(), Usd::ZERO);
        let (early, late) = (file.ask(), file.ask());
        file.write_as(late, Usd::from_picos(7)).unwrap();
        file.write_as(early, Usd::from_picos(9)).unwrap();
        let again = BudgetFile::in_folder(folder.path());
        assert_eq!(again.most_spent().unwrap(), Usd::from_picos(7));
        std::fs::write(&again.path, "7 dollars").unwrap();
        let error = again.most_spent().unwrap_err();
        assert!(error.message().contains("is damaged"), "{error}");
    }
}
