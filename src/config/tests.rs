use super::*;

fn from(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lipsyncd.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).into()));
    Config::from_parts(Some(&path), environment).map_err(|error| error.to_string())
}

#[test]
fn an_empty_configuration_is_the_default() {
    let config = from("", &[]).unwrap();
    assert_eq!(config.listen.to_string(), "[::]:50053");
    assert_eq!(config.jpeg_quality.get(), 75);
    assert_eq!((config.max_message_bytes, config.max_upload_bytes), (128 << 20, 1 << 30));
    assert_eq!((config.slots, config.max_batch, config.max_synth), (None, None, None));
    assert_eq!(config.metrics, None);
}

#[test]
fn every_key_is_taken_from_the_file_and_from_the_environment() {
    let written = [
        ("listen", "\"127.0.0.1:1\""),
        ("avatars", "\"/a\""),
        ("backend", "\"cpu\""),
        ("preload", "[\"one\", \"two\"]"),
        ("max_resident_bytes", "7"),
        ("evict", "\"lfu\""),
        ("jpeg_quality", "90"),
        ("template_cache", "\"/t\""),
        ("max_batch", "4"),
        ("slots", "3"),
        ("threads_per_slot", "2"),
        ("picture_cache_bytes", "11"),
        ("onnxruntime", "\"/lib/x.so\""),
        ("gpus", "[0, 3]"),
        ("gpu_engine", "\"onnxruntime\""),
        ("gpu_precision", "\"fp32\""),
        ("jpeg", "\"splice\""),
        ("max_device_bytes", "9"),
        ("tensorrt", "\"/lib/trt\""),
        ("plans", "\"/p\""),
        ("max_sessions", "5"),
        ("max_sessions_per_client", "2"),
        ("max_synth", "6"),
        ("max_queued_synth", "8"),
        ("utilisation_percent", "80"),
        ("expected_speech_percent", "40"),
        ("metrics", "\"127.0.0.1:2\""),
        ("otlp", "\"http://127.0.0.1:3\""),
        ("max_message_bytes", "4096"),
        ("max_upload_bytes", "8192"),
        ("drain_seconds", "9"),
        ("idle_seconds", "40"),
        ("keepalive_seconds", "11"),
        ("latency_budget_ms", "90"),
        ("log", "\"debug\""),
        ("log_format", "\"json\""),
    ];
    assert_eq!(written.map(|(key, _)| key), *KEYS);
    let file: String = written.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let by_file = from(&file, &[]).unwrap();
    let variables: Vec<(String, String)> = written
        .iter()
        .map(|(key, value)| {
            let plain = value.replace(['"', '[', ']'], "");
            (format!("LIPSYNCD_{}", key.to_uppercase()), plain)
        })
        .collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let by_environment = from("", &variables).unwrap();
    assert_eq!(format!("{by_file:?}"), format!("{by_environment:?}"));
    assert_eq!(by_file.preload.len(), 2);
    assert_eq!(by_file.evict, EvictPolicy::Lfu);
    assert_eq!(by_file.log_format, LogFormat::Json);
}

#[test]
fn the_environment_wins_over_the_file() {
    assert_eq!(from("slots = 3", &[("LIPSYNCD_SLOTS", "5")]).unwrap().slots, Some(5));
}

#[test]
fn faults_name_the_place_and_say_what_to_write() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case] = &[
        ("lisen = \"x\"", &[], &["lipsyncd.toml: lisen", "`listen`"]),
        ("zzz = 1", &[], &["lipsyncd.toml: zzz", "no such key"]),
        ("listen = \"x\"", &[], &["lipsyncd.toml: listen", "\"x\"", "[::]:50053"]),
        ("jpeg_quality = 0", &[], &["jpeg_quality", "0 is not allowed", "1 to 100"]),
        ("jpeg_quality = \"75\"", &[], &["jpeg_quality", "whole number"]),
        ("backend = \"gpu\"", &[], &["backend", "\"auto\" or \"cpu\" or \"cuda\""]),
        ("preload = [\"../x\"]", &[], &["preload", "../x"]),
        ("otlp = \"https://a:1\"", &[], &["otlp", "https://a:1", "http://127.0.0.1:4317"]),
        ("slots = ", &[], &["lipsyncd.toml", "not valid TOML"]),
        ("", &[("LIPSYNCD_SLOTS", "many")], &["LIPSYNCD_SLOTS", "many"]),
        ("", &[("LIPSYNCD_LISTNE", "x")], &["LIPSYNCD_LISTNE", "did you mean LIPSYNCD_LISTEN?"]),
    ];
    for (file, environment, expected) in cases {
        let error = from(file, environment).unwrap_err();
        for part in *expected {
            assert!(error.contains(part), "{file:?} {environment:?} gave {error:?}, without {part:?}");
        }
    }
}

#[test]
fn what_to_write_is_said_as_its_writer_writes_it() {
    let cases = [
        ("GPUS", "[0, 1]", "write GPU numbers such as 0,1"),
        ("PRELOAD", "[\"demo\"]", "write avatar ids such as demo,anna"),
        ("AVATARS", "", "write a path, or unset it"),
        ("LOG", "", "write some text, or unset it"),
        ("BACKEND", "gpu", "write auto or cpu or cuda"),
        ("LISTEN", "x", "write an address such as [::]:50053"),
        ("METRICS", "", "write an address such as 127.0.0.1:9464, or unset it"),
        ("GPU_PRECISION", "fp8", "write fp16 or fp32"),
    ];
    for (key, value, advice) in cases {
        let error = from("", &[(&format!("LIPSYNCD_{key}"), value)]).unwrap_err();
        assert!(error.ends_with(advice), "{key}={value} gave {error:?}, without {advice:?}");
    }
    for (line, advice) in [
        ("gpus = \"0,1\"", "write a list of GPU numbers such as [0, 1]"),
        ("preload = \"demo\"", "write a list of avatar ids such as [\"demo\"]"),
        ("avatars = \"\"", "write a path in quotes"),
        ("log = 3", "write a text in quotes"),
    ] {
        let error = from(line, &[]).unwrap_err();
        assert!(error.ends_with(advice), "{line:?} gave {error:?}, without {advice:?}");
    }
}

#[test]
fn variables_like_a_key_are_slips_and_name_the_nearest() {
    let slips = [
        ("LOGS", "LOG"),
        ("LOG_LEVEL", "LOG"),
        ("GPU", "GPUS"),
        ("JPG", "JPEG"),
        ("DRAIN", "DRAIN_SECONDS"),
        ("KEEPALIVE", "KEEPALIVE_SECONDS"),
        ("THREADS", "THREADS_PER_SLOT"),
        ("PICTURE_CACHE", "PICTURE_CACHE_BYTES"),
        ("MAX_MESSAGE_SIZE", "MAX_MESSAGE_BYTES"),
        ("MAX_SESSIONS_CLIENT", "MAX_SESSIONS_PER_CLIENT"),
        ("LISTEN_ADDR", "LISTEN"),
    ];
    for (name, key) in slips {
        let error = from("", &[(&format!("LIPSYNCD_{name}"), "1")]).unwrap_err();
        let expected = format!("LIPSYNCD_{name}: there is no such key; did you mean LIPSYNCD_{key}?");
        assert_eq!(error, expected);
    }
}

#[test]
fn other_variables_are_left_alone_and_named_where_they_are_nobodys() {
    let config = from("", &[("LIPSYNCD_REPLICAS", "2"), ("LIPSYNCD_HOME", "/srv"), ("HOME", "/")]).unwrap();
    assert_eq!(config.ignored_variables, ["LIPSYNCD_HOME", "LIPSYNCD_REPLICAS"]);
}

#[test]
fn the_programs_own_variables_and_kubernetes_are_no_slips() {
    let read_elsewhere = [
        "BIN",
        "NVJPEG",
        "NVRTC",
        "NVCC",
        "ROOT",
        "NETWORKS",
        "NATIVE_ONNX",
        "SPLICE_OUT",
        "SOAK_SECONDS",
        "SOAK_VIEWERS",
        "SERVICE_HOST",
        "SERVICE_PORT",
        "PORT_50053_TCP",
    ];
    for name in read_elsewhere {
        let variable = format!("LIPSYNCD_{name}");
        let config = from("", &[(&variable, "/usr/lib")]).unwrap();
        assert!(config.ignored_variables.is_empty(), "{variable}");
    }
    assert!(from("", &[("LIPSYNCD_PORT", "tcp://10.0.0.11:50053")]).unwrap().ignored_variables.is_empty());
}

#[test]
fn a_variables_path_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = b"/srv/av\xe9".to_vec();
    for key in ["AVATARS", "TEMPLATE_CACHE", "ONNXRUNTIME", "TENSORRT", "PLANS"] {
        let variable = (format!("LIPSYNCD_{key}"), OsString::from_vec(bytes.clone()));
        let config = Config::from_parts(None, std::iter::once(variable)).unwrap();
        let GpuConfig { tensorrt, plans, .. } = config.gpu;
        let paths = [Some(config.avatars), config.template_cache, config.onnxruntime, tensorrt, plans];
        let path = PathBuf::from(OsString::from_vec(bytes.clone()));
        assert!(paths.contains(&Some(path)), "{key}: {paths:?}");
    }
}

#[test]
fn how_the_log_looks_is_known_beside_a_fault() {
    let read = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).into()));
        let (values, fault) = Values::read(Some(Path::new("/nowhere/lipsyncd.toml")), variables);
        assert!(matches!(fault, Some(ConfigError::Read { .. })), "the first fault");
        log_format(&values).ok()
    };
    assert_eq!(read(&[("LIPSYNCD_SLTOS", "3"), ("LIPSYNCD_LOG_FORMAT", "json")]), Some(LogFormat::Json));
    assert_eq!(read(&[]), Some(LogFormat::Text));
}
