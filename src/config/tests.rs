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
        ("", &[("LIPSYNCD_LISTNE", "x")], &["LIPSYNCD_LISTNE", "`listen`"]),
    ];
    for (file, environment, expected) in cases {
        let error = from(file, environment).unwrap_err();
        for part in *expected {
            assert!(error.contains(part), "{file:?} {environment:?} gave {error:?}, without {part:?}");
        }
    }
}

#[test]
fn other_programs_variables_are_left_alone() {
    assert!(from("", &[("LIPSYNCD_BIN", "/usr/bin/lipsyncd"), ("HOME", "/")]).is_ok());
}

#[test]
fn the_programs_own_variables_that_are_no_keys_are_no_slips() {
    let read_elsewhere =
        ["NVJPEG", "NVRTC", "NVCC", "ROOT", "NETWORKS", "NATIVE_ONNX", "SPLICE_OUT", "SOAK_SECONDS", "SOAK_VIEWERS"];
    for name in read_elsewhere {
        let variable = format!("LIPSYNCD_{name}");
        assert!(from("", &[(&variable, "/usr/lib")]).is_ok(), "{variable}");
    }
}
