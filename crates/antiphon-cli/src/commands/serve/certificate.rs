//! The certificate of a server, read at its start and again when a signal asks for it.

use std::{path::Path, sync::Arc};

use antiphon_gateway::Tls;
use anyhow::{Result, anyhow};

use crate::printer::Printer;

/// That of the flags, which go together; `None` without them.
pub(crate) fn read(
    certificate: Option<&Path>,
    key: Option<&Path>,
    printer: &Printer,
) -> Result<Option<Arc<Tls>>> {
    let Some((certificate, key)) = certificate.zip(key) else {
        return Ok(None);
    };
    let (tls, warning) = Tls::load(certificate, key)?;
    if let Some(warning) = warning {
        printer.say(&format!("warning: {warning}"));
    }
    Ok(Some(Arc::new(tls)))
}

/// Reads it again. One that cannot be used is refused, and that from before stays.
pub(crate) fn read_again(tls: &Tls, printer: &Printer) {
    match tls.reload() {
        Ok(Some(warning)) => printer.say(&format!("warning: {warning}")),
        Ok(None) => printer.say("certificate read again"),
        Err(error) => {
            printer.error(&anyhow!(error));
            printer.hint("the certificate from before stays in use");
        }
    }
}
