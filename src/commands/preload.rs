//! The avatars that a daemon loads before it serves.

use std::sync::Arc;

use super::{CommandError, watch};
use crate::avatar::{AvatarId, RegistryError};
use crate::rpc::{Daemon, RpcError};
use crate::telemetry::systemd::Notifier;

/// Loads `ids` one after the other, and tells the service manager so.
///
/// # Errors
/// The first that cannot be loaded.
pub(super) async fn preload(
    daemon: &Arc<Daemon>,
    ids: &[AvatarId],
    notifier: Option<&Arc<Notifier>>,
) -> Result<(), CommandError> {
    for id in ids {
        let _telling = notifier.map(|notifier| watch::starting(notifier, format!("loading avatar {id}")));
        let loaded = daemon.load(id.as_str(), None).await.map_err(|error| command_error(&error))?;
        daemon.warm(&loaded.avatar).await;
    }
    Ok(())
}

/// Bad input is what the next start would meet again, and so what the unit does not restart on.
fn command_error(error: &RpcError) -> CommandError {
    match error {
        // Its own advice is for clients of a daemon that runs.
        RpcError::Registry(RegistryError::NotFound { id, dir }) => CommandError::input(format!(
            "preload: there is no avatar \"{id}\" in {}; correct `preload` (LIPSYNCD_PRELOAD) or `avatars` (LIPSYNCD_AVATARS), or \
             put its bundle there",
            dir.display()
        )),
        RpcError::Id(_)
        | RpcError::Registry(
            RegistryError::NoRoom { .. } | RegistryError::TooLarge { .. } | RegistryError::Load { .. },
        ) => CommandError::input(error.sentence()),
        _ => CommandError::failed(error.sentence()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::avatar::onnx::OnnxError;
    use crate::backend::BackendError;

    #[test]
    fn only_what_the_next_start_would_meet_again_is_bad_input() {
        let id: AvatarId = "mira".parse().unwrap();
        let not_found = || RegistryError::NotFound { id: id.clone(), dir: "/avatars".into() };
        let is_input = |error: RegistryError| matches!(command_error(&error.into()), CommandError::Input(_));
        assert!(is_input(not_found()));
        assert!(is_input(RegistryError::NoRoom { id: id.clone(), needed: 2, in_use: 0, budget: 1 }));
        let full = BackendError::DeviceFull { needed: 5, used: 6, most: 10 };
        let lost = || BackendError::DeviceLost { reason: "it has not answered".to_owned() };
        assert!(!is_input(RegistryError::DeviceFull { id: id.clone(), source: Arc::new(full.into()) }));
        assert!(!is_input(RegistryError::DeviceLost { id: id.clone(), source: Arc::new(lost().into()) }));
        assert!(!is_input(RegistryError::Stopping { id: id.clone() }));
        let load = |error: BackendError| RegistryError::of_load(&id, error.into());
        assert!(is_input(load(BackendError::Network { path: "generator.onnx".into(), what: "it gives NaN" })));
        let unread =
            |kind: ErrorKind| BackendError::File { path: "generator.onnx".into(), source: OnnxError::Io(kind.into()) };
        assert!(is_input(load(unread(ErrorKind::PermissionDenied))));
        assert!(!is_input(load(unread(ErrorKind::Other))));
    }

    #[test]
    fn an_avatar_that_is_not_there_is_told_by_key_and_folder_to_whom_no_daemon_answers() {
        let error = RegistryError::NotFound { id: "mira".parse().unwrap(), dir: "/srv/avatars".into() };
        let said = command_error(&error.into()).to_string();
        for word in ["`preload` (LIPSYNCD_PRELOAD)", "\"mira\"", "/srv/avatars"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(!said.contains("ListAvatars"), "{said}");
    }
}
