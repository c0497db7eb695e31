//! `monolithic.MonolithicService`: the Go server's protocol, with its failures as `success = false`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use self::inputs::{Inputs, Shape};
use super::calls::{blocking, call_info};
use super::daemon::{Admitted, Daemon};
use super::deadline::passed;
use super::proto::monolithic::monolithic_service_server::MonolithicService;
use super::proto::monolithic::{
    CompositeBatchRequest, CompositeBatchResponse, GetModelStatsRequest, GetModelStatsResponse, HealthRequest,
    HealthResponse, ListModelsRequest, ListModelsResponse, LoadModelRequest, LoadModelResponse, ModelInfo, ModelStats,
    UnloadModelRequest, UnloadModelResponse,
};
use super::status::RpcError;
use crate::avatar::{Acquired, AvatarId, LoadedAvatar};
use crate::backend::{DeviceMemory, FrameFormat};
use crate::batch::{Engine, Want};
use crate::session::{Event, SessionOptions};
use crate::telemetry::{CallEnd, CallInfo, CallKind};

mod inputs;

/// `gpu_id` of what is on no GPU.
const NO_GPU: i32 = -1;

/// The service; cheap to clone.
#[derive(Clone)]
pub(super) struct Monolithic {
    pub daemon: Arc<Daemon>,
}

#[tonic::async_trait]
impl MonolithicService for Monolithic {
    async fn infer_batch_composite(
        &self,
        request: Request<CompositeBatchRequest>,
    ) -> Result<Response<CompositeBatchResponse>, Status> {
        let start = Instant::now();
        let info = call_info(CallKind::Monolithic, &request);
        let inferred = infer(&self.daemon, &info, request.into_inner()).await;
        // The one failure that clients know by its status: which end sees it first is chance.
        if matches!(inferred, Err(RpcError::Deadline)) {
            return Err(RpcError::Deadline.into());
        }
        let mut response = inferred.unwrap_or_else(|error| {
            self.daemon.refused(&error);
            let error = error.sentence();
            CompositeBatchResponse { success: false, error, gpu_id: NO_GPU, ..CompositeBatchResponse::default() }
        });
        response.total_time_ms = ms(start.elapsed());
        Ok(Response::new(response))
    }

    async fn list_models(&self, _request: Request<ListModelsRequest>) -> Result<Response<ListModelsResponse>, Status> {
        let registry = Arc::clone(self.daemon.registry());
        let ids = self.daemon.looks().look(move |_| registry.ids()).await?;
        let models = ids
            .iter()
            .map(|id| {
                let stats = self.stats_of(id);
                ModelInfo {
                    model_id: stats.model_id,
                    loaded: stats.loaded,
                    gpu_id: stats.gpu_id,
                    memory_mb: stats.memory_mb,
                    request_count: stats.request_count,
                    avg_inference_ms: stats.avg_inference_ms,
                }
            })
            .collect();
        Ok(Response::new(ListModelsResponse { models }))
    }

    async fn load_model(&self, request: Request<LoadModelRequest>) -> Result<Response<LoadModelResponse>, Status> {
        let LoadModelRequest { model_id, preferred_gpu } = request.into_inner();
        let response = match self.daemon.load(&model_id, u32::try_from(preferred_gpu).ok()).await {
            Ok(Acquired { avatar, loading }) => LoadModelResponse {
                success: true,
                error: String::new(),
                gpu_id: gpu_id(&self.daemon, &avatar),
                load_time_ms: loading.map_or(0.0, ms),
            },
            Err(error) => {
                LoadModelResponse { success: false, error: error.sentence(), gpu_id: NO_GPU, load_time_ms: 0.0 }
            }
        };
        Ok(Response::new(response))
    }

    async fn unload_model(
        &self,
        request: Request<UnloadModelRequest>,
    ) -> Result<Response<UnloadModelResponse>, Status> {
        let id: AvatarId = match request.get_ref().model_id.parse().map_err(RpcError::from) {
            Ok(id) => id,
            Err(error) => return Ok(Response::new(UnloadModelResponse { success: false, error: error.sentence() })),
        };
        let registry = Arc::clone(self.daemon.registry());
        let name = id.to_string();
        let success = blocking(move || registry.unload(&id)).await?;
        let error = if success { String::new() } else { format!("model \"{name}\" is not loaded; nothing to unload") };
        Ok(Response::new(UnloadModelResponse { success, error }))
    }

    async fn get_model_stats(
        &self,
        _request: Request<GetModelStatsRequest>,
    ) -> Result<Response<GetModelStatsResponse>, Status> {
        let loaded = self.daemon.registry().all_loaded();
        let models = loaded.iter().map(|avatar| self.stats_of(avatar.id())).collect();
        Ok(Response::new(GetModelStatsResponse { models }))
    }

    async fn health(&self, _request: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        let registry = Arc::clone(self.daemon.registry());
        let known = self.daemon.looks().look(move |_| registry.ids().len()).await?;
        let loaded = self.daemon.registry().all_loaded().len();
        self.daemon.fleet().look().await;
        let gpus =
            || self.daemon.fleet().engines().iter().map(Engine::backend).filter_map(|it| Some((it.info().gpu?, it)));
        Ok(Response::new(HealthResponse {
            healthy: !self.daemon.is_stopping(),
            loaded_models: count(loaded as u64),
            max_models: count(known.max(loaded) as u64),
            gpu_ids: gpus().map(|(gpu, _)| gpu_number(gpu)).collect(),
            gpu_memory_used_gb: gpus().map(|(_, backend)| used_gb(backend.memory())).collect(),
        }))
    }
}

impl Monolithic {
    fn stats_of(&self, id: &AvatarId) -> ModelStats {
        let Some(avatar) = self.daemon.registry().loaded(id) else {
            return ModelStats { model_id: id.to_string(), loaded: false, gpu_id: NO_GPU, ..ModelStats::default() };
        };
        let usage = avatar.usage();
        ModelStats {
            model_id: id.to_string(),
            loaded: true,
            gpu_id: gpu_id(&self.daemon, &avatar),
            memory_mb: i64::try_from(avatar.resident_bytes() >> 20).unwrap_or(i64::MAX),
            request_count: count(usage.requests),
            total_inference_ms: i64::try_from(usage.network.as_millis()).unwrap_or(i64::MAX),
            avg_inference_ms: ms(usage.network) / usage.requests.max(1) as f32,
            last_used_timestamp: usage.last_used_unix_s,
        }
    }
}

/// One batch, checked and drawn.
async fn infer(
    daemon: &Arc<Daemon>,
    info: &CallInfo,
    request: CompositeBatchRequest,
) -> Result<CompositeBatchResponse, RpcError> {
    let Shape { batch, start_position, rate } = Shape::of(&request)?;
    let place = daemon.enter(info, &request.model_id, Want::Whole).await?;
    let Acquired { avatar, loading } = daemon.acquire(&request.model_id, Want::Whole).await?;
    let reading = Arc::clone(&avatar);
    // Its place lasts as long as the reading, also when the call is given up.
    let read = blocking(move || Ok::<_, RpcError>((place, Inputs::read(&request, batch, rate, &reading)?)));
    let (place, Inputs { pictures, speech }) = read.await??;
    let options = SessionOptions {
        start_position,
        outbox_frames: batch,
        max_frames: Some(batch),
        pictures,
        fixed_context: speech.context,
        ..SessionOptions::new(FrameFormat::Jpeg(daemon.quality(0)?), rate)
    };
    let Admitted { intake, mut reader, mut call } = daemon.admit(info, place, &avatar, options).await?;
    let _speech = AbortOnDropHandle::new(tokio::spawn(async move { intake.speak(&speech.samples).await }));
    let mut frames = Vec::with_capacity(batch);
    while frames.len() < batch {
        let event = tokio::select! {
            biased;
            event = reader.next() => event,
            () = passed(info.deadline) => {
                call.record.ends(CallEnd::Timeout);
                return Err(RpcError::Deadline);
            }
        };
        match event {
            Some(Ok(Event::Frame(frame))) => {
                call.record.frame_sent();
                frames.push(Bytes::from_owner(frame.data));
            }
            Some(Ok(Event::UtteranceDone { .. } | Event::Interrupted(_))) | None => break,
            Some(Err(error)) => {
                call.record.ends(CallEnd::Failed);
                return Err(error.into());
            }
        }
    }
    call.record.ends(CallEnd::Done);
    let (times, avatar) = (reader.times(), reader.core().avatar());
    Ok(CompositeBatchResponse {
        composited_frames: frames,
        inference_time_ms: ms(times.network),
        composite_time_ms: ms(times.composite),
        audio_processing_ms: ms(times.audio),
        model_loaded: true,
        model_load_time_ms: loading.map_or(0.0, ms),
        gpu_id: gpu_id(daemon, avatar),
        success: true,
        ..CompositeBatchResponse::default()
    })
}

/// The GPU that `avatar` is on.
fn gpu_id(daemon: &Daemon, avatar: &LoadedAvatar) -> i32 {
    daemon.fleet().engine_of(avatar).backend().info().gpu.map_or(NO_GPU, gpu_number)
}

fn used_gb(memory: Option<DeviceMemory>) -> f32 {
    memory.map_or(0.0, |memory| memory.used_bytes() as f32 / 1e9)
}

fn gpu_number(ordinal: u32) -> i32 {
    i32::try_from(ordinal).unwrap_or(i32::MAX)
}

fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn ms(elapsed: Duration) -> f32 {
    elapsed.as_secs_f32() * 1e3
}
