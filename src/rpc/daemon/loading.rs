//! Loading avatars: where, one at a time, and until a frame of them has been drawn.

use std::sync::Arc;
use std::time::Instant;

use super::Daemon;
use crate::avatar::{Acquired, AvatarId, LoadedAvatar, RegistryError};
use crate::backend::{DeviceId, FrameFormat};
use crate::batch::placement::place;
use crate::batch::{Engine, Want, rehearse, rehearse_pictures};
use crate::rpc::calls::blocking;
use crate::rpc::status::RpcError;
use crate::session::SessionError;

impl Daemon {
    /// The avatar a client names for a call that is to have what it `want`s, on the device that is to serve it; loaded and rehearsed there if need be.
    ///
    /// # Errors
    /// [`RpcError::Id`], [`RpcError::Registry`]; [`RpcError::Stopping`] as soon as the daemon is.
    pub(in crate::rpc) async fn acquire(self: &Arc<Self>, id: &str, want: Want) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        let device = self.place(&id, want).await;
        match self.acquire_on(&id, device).await {
            Err(RpcError::Stopping) => Err(RpcError::Stopping),
            // One device less to spread to is no reason to turn a viewer away.
            Err(error) => match self.place_where_it_is(&id, want) {
                Some(own) => {
                    let name = self.fleet.name(device);
                    tracing::warn!(avatar = %id, device = name, "stays where it is: {}", error.sentence());
                    self.acquire_on(&id, own).await
                }
                None => Err(error),
            },
            acquired => acquired,
        }
    }

    /// The avatar loaded ahead of its calls, on the device that would serve them: on that with CUDA ordinal `gpu` where there is one.
    ///
    /// # Errors
    /// [`RpcError::Id`], [`RpcError::Registry`]; [`RpcError::Stopping`] as soon as the daemon is.
    pub async fn load(self: &Arc<Self>, id: &str, gpu: Option<u32>) -> Result<Acquired, RpcError> {
        let id: AvatarId = id.parse()?;
        let ordinal = |engine: &Engine| engine.backend().info().gpu;
        let wanted = gpu.and_then(|gpu| self.fleet.engines().iter().position(|engine| ordinal(engine) == Some(gpu)));
        let there = || self.registry.loaded(&id).map(|avatar| avatar.device());
        let device = match wanted.map(DeviceId).or_else(there) {
            Some(device) => device,
            None => self.place(&id, Want::Live { waits: false }).await,
        };
        self.acquire_on(&id, device).await
    }

    /// Draws the avatar's pictures once where that makes them quicker to draw again, which takes some seconds.
    pub async fn warm(&self, avatar: &Arc<LoadedAvatar>) {
        let format = FrameFormat::Jpeg(self.options.jpeg_quality);
        if let Err(error) = rehearse_pictures(self.fleet.engine_of(avatar), avatar, format).await {
            tracing::warn!(avatar = %avatar.id(), "its pictures were not all drawn: {error}");
        }
    }

    async fn place(&self, id: &AvatarId, want: Want) -> DeviceId {
        if self.fleet.engines().len() == 1 {
            return DeviceId::default();
        }
        let (device, has_room) = self.place_by_last_look(id, want);
        if has_room && self.registry.ready(id, device).is_some() {
            return device;
        }
        // A load goes by the memory that is free now, and so does whoever would be refused.
        self.fleet.look().await;
        self.place_by_last_look(id, want).0
    }

    /// The device that suits best, and whether it has room for the call.
    fn place_by_last_look(&self, id: &AvatarId, want: Want) -> (DeviceId, bool) {
        let replicas = self.registry.replicas(id);
        let mut views = self.fleet.views(&replicas, want, self.options.admission);
        for (at, view) in views.iter_mut().enumerate() {
            view.has_room &= self.registry.may_go_on(id, DeviceId(at));
        }
        let device = place(&views, self.registry.device_bytes(id)).unwrap_or_default();
        (device, views.get(device.0).is_some_and(|view| view.has_room))
    }

    /// The device that suits best of those that have the avatar.
    fn place_where_it_is(&self, id: &AvatarId, want: Want) -> Option<DeviceId> {
        let replicas = self.registry.replicas(id);
        let mut views = self.fleet.views(&replicas, want, self.options.admission);
        views.iter_mut().for_each(|view| view.has_room &= view.resident);
        place(&views, 0).filter(|_| !replicas.is_empty())
    }

    async fn acquire_on(self: &Arc<Self>, id: &AvatarId, device: DeviceId) -> Result<Acquired, RpcError> {
        // A load on a device that does not answer never ends.
        let broken = async {
            match self.fleet.engines().get(device.0) {
                Some(engine) => engine.broken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            acquired = self.acquire_in_turn(id, device) => acquired,
            () = broken => Err(RegistryError::Stopping { id: id.clone() }.into()),
            // The load goes on, for as long as the process does.
            () = self.stopping().cancelled() => Err(RpcError::Stopping),
        }
    }

    async fn acquire_in_turn(self: &Arc<Self>, id: &AvatarId, device: DeviceId) -> Result<Acquired, RpcError> {
        if let Some(avatar) = self.registry.ready(id, device) {
            return Ok(Acquired { avatar, loading: None });
        }
        if self.is_stopping() {
            return Err(RpcError::Stopping);
        }
        self.registry.bundle_dir(id)?;
        let turn = self.registry.load_turn(id).await;
        if let Some(avatar) = self.registry.ready(id, device) {
            return Ok(Acquired { avatar, loading: None });
        }
        let (daemon, wanted) = (Arc::clone(self), id.clone());
        // A load that is no longer awaited still completes and is kept: the next viewer wants it too.
        let loading = tokio::spawn(async move {
            let acquired = daemon.load_on(&wanted, device).await;
            drop(turn);
            acquired
        });
        loading.await.unwrap_or_else(|_| Err(RegistryError::Stopping { id: id.clone() }.into()))
    }

    /// Loads the avatar and draws it, whose turn it is; idle avatars on the device give way to it until there is room.
    async fn load_on(&self, id: &AvatarId, device: DeviceId) -> Result<Acquired, RpcError> {
        let begun = Instant::now();
        let refused = loop {
            let refused = match self.registry.load(id, device).await {
                Ok(avatar) => match self.try_out(&avatar).await {
                    Ok(()) => {
                        avatar.set_ready();
                        self.registry.note(id, device, Ok(()));
                        let backend = self.fleet.engine_of(&avatar).backend().info();
                        let (seconds, bytes) = (begun.elapsed().as_secs_f32(), avatar.resident_bytes());
                        tracing::info!(avatar = %id, %backend, seconds, bytes, "loaded");
                        return Ok(Acquired { avatar, loading: Some(begun.elapsed()) });
                    }
                    Err(error) if error.is_passing() => return Err(error.into()),
                    Err(error) => {
                        let registry = Arc::clone(&self.registry);
                        blocking(move || registry.undo(avatar, error)).await?
                    }
                },
                Err(refused) => refused,
            };
            let (registry, wanted) = (Arc::clone(&self.registry), id.clone());
            let make_way = move || (registry.make_way(&wanted, device, &refused), refused);
            let (is_made, refused) = blocking(make_way).await?;
            if !is_made {
                break refused;
            }
            // Until its lanes have let go of it too, what gives way holds memory.
            if let Some(engine) = self.fleet.engines().get(device.0) {
                engine.rest().await;
            }
        };
        self.registry.note(id, device, Err(&refused));
        tracing::warn!(avatar = %id, "not loaded: {refused}");
        Err(refused.into())
    }

    /// Draws some frames of the avatar for nobody, which measures its device.
    pub(super) async fn try_out(&self, avatar: &Arc<LoadedAvatar>) -> Result<(), SessionError> {
        rehearse(self.fleet.engine_of(avatar), avatar, FrameFormat::Jpeg(self.options.jpeg_quality)).await
    }
}
