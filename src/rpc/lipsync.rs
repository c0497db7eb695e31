//! `lipsync.v1.LipSync`.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status, Streaming};

use super::backgrounds::{BackgroundStream, get_avatar_frames};
use super::calls::{blocking, call_info};
use super::converse::{ConverseStream, converse};
use super::daemon::Daemon;
use super::frames::number;
use super::proto::lipsync::lip_sync_server::LipSync;
use super::proto::lipsync::{
    Avatar, AvatarStats, ConverseRequest, DeviceStats, GetAvatarFramesRequest, GetAvatarRequest, GetAvatarResponse,
    GetStatsRequest, GetStatsResponse, ListAvatarsRequest, ListAvatarsResponse, LoadAvatarRequest, LoadAvatarResponse,
    SynthesizeRequest, UnloadAvatarRequest, UnloadAvatarResponse,
};
use super::status::RpcError;
use super::synthesize::{FrameStream, synthesize};
use crate::avatar::{AvatarId, Checks, LoadedAvatar};
use crate::batch::Engine;
use crate::telemetry::{CallKind, WorkClass};

/// The service; cheap to clone.
#[derive(Clone)]
pub(super) struct LipSyncService {
    pub daemon: Arc<Daemon>,
}

#[tonic::async_trait]
impl LipSync for LipSyncService {
    type SynthesizeStream = FrameStream;
    type ConverseStream = ConverseStream;
    type GetAvatarFramesStream = BackgroundStream;

    async fn synthesize(&self, request: Request<SynthesizeRequest>) -> Result<Response<FrameStream>, Status> {
        let info = call_info(CallKind::Whole, &request);
        let stream = synthesize(&self.daemon, &info, request.into_inner()).await;
        Ok(Response::new(stream.inspect_err(|error| self.daemon.refused(error))?))
    }

    async fn converse(&self, request: Request<Streaming<ConverseRequest>>) -> Result<Response<ConverseStream>, Status> {
        let info = call_info(CallKind::Live, &request);
        let mut messages = request.into_inner();
        let first = self.daemon.bounds(&info).first(messages.message(), self.daemon.stopping()).await?;
        let stream = converse(&self.daemon, &info, first, messages).await;
        Ok(Response::new(stream.inspect_err(|error| self.daemon.refused(error))?))
    }

    async fn get_avatar_frames(
        &self,
        request: Request<GetAvatarFramesRequest>,
    ) -> Result<Response<BackgroundStream>, Status> {
        let info = call_info(CallKind::Whole, &request);
        let stream = get_avatar_frames(&self.daemon, &info, request.into_inner()).await;
        Ok(Response::new(stream.inspect_err(|error| self.daemon.refused(error))?))
    }

    async fn list_avatars(
        &self,
        _request: Request<ListAvatarsRequest>,
    ) -> Result<Response<ListAvatarsResponse>, Status> {
        let registry = Arc::clone(self.daemon.registry());
        let look = move |checks: &Checks| {
            let ids = registry.ids();
            checks.keep_only(&ids);
            ids
        };
        let mut avatars = Vec::new();
        // A turn for each bundle: others come in between, and nothing goes on when the caller is gone.
        for id in self.daemon.looks().look(look).await? {
            match describe(&self.daemon, id).await {
                Ok(avatar) => avatars.push(avatar),
                // It went meanwhile.
                Err(RpcError::Registry(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Response::new(ListAvatarsResponse { avatars }))
    }

    async fn get_avatar(&self, request: Request<GetAvatarRequest>) -> Result<Response<GetAvatarResponse>, Status> {
        let id = parse_id(&request.get_ref().avatar_id)?;
        let avatar = describe(&self.daemon, id).await?;
        Ok(Response::new(GetAvatarResponse { avatar: Some(avatar) }))
    }

    async fn load_avatar(&self, request: Request<LoadAvatarRequest>) -> Result<Response<LoadAvatarResponse>, Status> {
        let acquired = self.daemon.load(&request.get_ref().avatar_id, None).await?;
        let load_ms = acquired.loading.map_or(0.0, |elapsed| elapsed.as_secs_f32() * 1e3);
        Ok(Response::new(LoadAvatarResponse { avatar: Some(loaded(&acquired.avatar)), load_ms }))
    }

    async fn unload_avatar(
        &self,
        request: Request<UnloadAvatarRequest>,
    ) -> Result<Response<UnloadAvatarResponse>, Status> {
        let id = parse_id(&request.get_ref().avatar_id)?;
        let (registry, wanted) = (Arc::clone(self.daemon.registry()), id.clone());
        // Freeing hundreds of pictures takes a while; not on a thread that serves others.
        if blocking(move || registry.unload(&wanted)).await? {
            return Ok(Response::new(UnloadAvatarResponse {}));
        }
        self.daemon.registry().bundle_dir(&id).map_err(RpcError::from)?;
        Err(RpcError::Order("the avatar is not loaded; there is nothing to unload").into())
    }

    async fn get_stats(&self, _request: Request<GetStatsRequest>) -> Result<Response<GetStatsResponse>, Status> {
        let (daemon, fleet) = (&self.daemon, self.daemon.fleet());
        fleet.look().await;
        let devices = || fleet.engines().iter().map(Engine::device_recorder);
        let items = |class| devices().map(|device| device.items(class)).sum();
        let avatars = daemon.registry().all_loaded();
        Ok(Response::new(GetStatsResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: fleet.engines()[0].backend().info().name.to_owned(),
            uptime_ms: u64::try_from(daemon.started().elapsed().as_millis()).unwrap_or(u64::MAX),
            sessions: u32::try_from(daemon.sessions()).unwrap_or(u32::MAX),
            sessions_total: devices().map(|device| device.sessions()).sum(),
            frames_total: items(WorkClass::Frame),
            batches_total: devices().map(|device| device.batches()).sum(),
            windows_total: items(WorkClass::Window),
            slots: number(fleet.lanes()),
            late_frames_total: fleet.recorder().deadline_misses(),
            avatars: avatars.iter().map(|avatar| avatar_stats(daemon, avatar)).collect(),
            devices: device_stats(daemon),
        }))
    }
}

fn parse_id(id: &str) -> Result<AvatarId, RpcError> {
    Ok(id.parse()?)
}

fn loaded(avatar: &LoadedAvatar) -> Avatar {
    let (width, height) = avatar.size_px();
    Avatar {
        avatar_id: avatar.id().to_string(),
        loaded: true,
        width: u32::try_from(width).unwrap_or(u32::MAX),
        height: u32::try_from(height).unwrap_or(u32::MAX),
        fps: avatar.fps(),
        frames: u32::try_from(avatar.frame_count()).unwrap_or(u32::MAX),
        name: avatar.name().to_owned(),
        resident_bytes: avatar.resident_bytes(),
        faults: Vec::new(),
    }
}

/// What is known of an avatar without loading it.
async fn describe(daemon: &Daemon, id: AvatarId) -> Result<Avatar, RpcError> {
    let registry = Arc::clone(daemon.registry());
    if let Some(avatar) = registry.loaded(&id) {
        return Ok(loaded(&avatar));
    }
    let avatar_id = id.to_string();
    let report = daemon.looks().look(move |checks| checks.of(&registry, &id)).await??;
    let faults = report.faults.iter().map(ToString::to_string).collect();
    let mut avatar = Avatar { avatar_id, faults, ..Avatar::default() };
    if let Some(summary) = &report.summary {
        avatar.width = summary.frame_size.width;
        avatar.height = summary.frame_size.height;
        avatar.fps = summary.fps;
        avatar.frames = u32::try_from(summary.frames).unwrap_or(u32::MAX);
        avatar.name.clone_from(&summary.name);
    }
    Ok(avatar)
}

fn avatar_stats(daemon: &Daemon, avatar: &LoadedAvatar) -> AvatarStats {
    let replicas = daemon.registry().replicas(avatar.id());
    let usage = avatar.usage();
    let mean_ms = |total: Duration| total.as_secs_f32() * 1e3 / usage.frames.max(1) as f32;
    AvatarStats {
        avatar_id: avatar.id().to_string(),
        resident_bytes: avatar.resident_bytes(),
        frames_total: usage.frames + usage.silent_frames,
        silent_frames_total: usage.silent_frames,
        generate_ms_mean: mean_ms(usage.network),
        composite_ms_mean: mean_ms(usage.composite),
        last_used_unix_s: usage.last_used_unix_s,
        devices: replicas.iter().map(|replica| daemon.fleet().name(replica.device()).to_owned()).collect(),
    }
}

fn device_stats(daemon: &Daemon) -> Vec<DeviceStats> {
    let of = |(name, engine): (&str, &Engine)| {
        let (info, memory) = (engine.backend().info(), engine.backend().memory());
        let (live, whole) = engine.open_sessions();
        DeviceStats {
            device: name.to_owned(),
            backend: info.name.to_owned(),
            engine: info.engine,
            gpu: info.gpu,
            slots: number(engine.options().slots),
            sessions: number(live + whole),
            live_load: daemon.live_load(engine) as f32,
            frames_total: engine.device_recorder().items(WorkClass::Frame),
            free_bytes: memory.map(|memory| memory.free_bytes),
            total_bytes: memory.map(|memory| memory.total_bytes),
        }
    };
    daemon.fleet().named().map(of).collect()
}
