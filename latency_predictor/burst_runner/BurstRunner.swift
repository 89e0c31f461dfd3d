// Times every compiled Core ML package in the app's bundle in bursts of back-to-back predictions
// and writes burst_results.json, which `python -m latency_predictor import` reads.
// This file is the whole app: it is the only Swift file of an iOS app target (iOS 17 or later).

import Combine
import CoreML
import Darwin
import Dispatch
import Foundation
import SwiftUI
import UIKit

let warmUpCalls = 5  // before each burst, not counted
let burstCalls = 50  // a tiled photograph is decoded in such a burst
let bursts = 3

struct Results: Codable {
    var runner = "burst-runner"
    var version = 1
    var device: DeviceState
    var programs: [Measurement] = []
}

struct DeviceState: Codable {
    let product_type: String  // "iPhone17,1"
    let os: String  // "iOS 18.1"
    let build: String  // "22B83"
    let low_power: Bool
}

struct Measurement: Codable {
    let name: String
    let compute_unit: String
    let load_ms: Double
    let warm_up: Int
    let burst_calls: Int
    let samples: [Double]  // milliseconds, burst after burst
    let plan: [PlannedOp]
    let thermal_state: String  // after the last burst
    let measured_at: String
}

struct PlannedOp: Codable {
    let op: String
    let output: String
    let preferred: String
    let supported: [String]
    let cost_weight: Double?
}

struct Failure: LocalizedError {
    let errorDescription: String?
}

@main
struct BurstRunnerApp: App {
    @StateObject private var session = Session()

    var body: some Scene {
        WindowGroup {
            VStack(spacing: 16) {
                Text(session.status).font(.title3).multilineTextAlignment(.center)
                ProgressView(value: session.progress)
                if session.finished {
                    ShareLink("Share burst_results.json", item: session.file)
                } else if !session.running {
                    Button("Measure") { session.start() }.buttonStyle(.borderedProminent)
                }
            }
            .padding()
        }
    }
}

/// Runs all measurements on one background thread and publishes the progress.
final class Session: ObservableObject {
    @Published var status = "Plug the phone in, let it cool and turn low-power mode off."
    @Published var progress = 0.0
    @Published var running = false
    @Published var finished = false

    let file = URL.documentsDirectory.appending(path: "burst_results.json")

    @MainActor func start() {
        running = true
        UIApplication.shared.isIdleTimerDisabled = true
        Thread.detachNewThread { self.measureAll() }
    }

    private func measureAll() {
        let units: [(String, MLComputeUnits)] = [
            ("ALL", .all), ("CPU_AND_NE", .cpuAndNeuralEngine),
        ]
        let packages = (Bundle.main.urls(forResourcesWithExtension: "mlmodelc", subdirectory: nil) ?? [])
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
        var results = Results(device: deviceState())
        var failures: [String] = []
        let total = Double(packages.count * units.count)
        var done = 0.0
        for (unitName, unit) in units {
            for package in packages {
                let name = package.deletingPathExtension().lastPathComponent
                say("\(name) on \(unitName)", done / total)
                waitUntilCool()
                do {
                    let measured = try autoreleasepool {
                        try measure(package, name: name, unitName: unitName, unit: unit)
                    }
                    results.programs.append(measured)
                    try write(results)
                } catch {
                    failures.append("\(name) on \(unitName): \(error.localizedDescription)")
                }
                done += 1
            }
        }
        let failed = failures.isEmpty ? "" : "\nFailed: " + failures.joined(separator: "\n")
        say("\(results.programs.count) measurements.\(failed)", 1)
        DispatchQueue.main.async {
            self.finished = true
            UIApplication.shared.isIdleTimerDisabled = false
        }
    }

    private func say(_ text: String, _ fraction: Double) {
        DispatchQueue.main.async {
            self.status = text
            self.progress = fraction
        }
    }

    /// Writes the results so far. It is called after every program, so that a crash loses only one.
    private func write(_ results: Results) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(results).write(to: file, options: .atomic)
    }
}

func measure(_ package: URL, name: String, unitName: String, unit: MLComputeUnits) throws
    -> Measurement
{
    let configuration = MLModelConfiguration()
    configuration.computeUnits = unit
    let started = nowMs()
    let model = try MLModel(contentsOf: package, configuration: configuration)
    let loadMs = nowMs() - started
    let inputs = try randomInputs(model.modelDescription)
    var samples: [Double] = []
    for _ in 0..<bursts {
        for call in 0..<(warmUpCalls + burstCalls) {
            try autoreleasepool {
                let before = nowMs()
                _ = try model.prediction(from: inputs)
                let after = nowMs()
                if call >= warmUpCalls { samples.append(after - before) }
            }
        }
    }
    return Measurement(
        name: name, compute_unit: unitName, load_ms: loadMs, warm_up: warmUpCalls,
        burst_calls: burstCalls, samples: samples, plan: plan(package, configuration),
        thermal_state: thermalState(), measured_at: ISO8601DateFormatter().string(from: Date()))
}

/// Random float16 arrays with the shapes of the model's inputs. No cast is timed.
func randomInputs(_ description: MLModelDescription) throws -> MLFeatureProvider {
    var values: [String: MLMultiArray] = [:]
    for (name, feature) in description.inputDescriptionsByName {
        guard let array = feature.multiArrayConstraint, array.dataType == .float16 else {
            throw Failure(errorDescription: "input \(name) is not a float16 array")
        }
        let shape = array.shape.map(\.intValue)
        let scalars = (0..<shape.reduce(1, *)).map { _ in Float16.random(in: 0..<1) }
        values[name] = MLMultiArray(MLShapedArray<Float16>(scalars: scalars, shape: shape))
    }
    return try MLDictionaryFeatureProvider(dictionary: values)
}

/// The compute unit on which Core ML plans to run each op; empty before iOS 17.4.
func plan(_ package: URL, _ configuration: MLModelConfiguration) -> [PlannedOp] {
    guard #available(iOS 17.4, *) else { return [] }
    let box = PlanBox()
    let loaded = DispatchSemaphore(value: 0)
    Task.detached {
        box.ops = (try? await loadPlan(package, configuration)) ?? []
        loaded.signal()
    }
    loaded.wait()
    return box.ops
}

final class PlanBox: @unchecked Sendable {
    var ops: [PlannedOp] = []
}

@available(iOS 17.4, *)
func loadPlan(_ package: URL, _ configuration: MLModelConfiguration) async throws -> [PlannedOp] {
    let plan = try await MLComputePlan.load(contentsOf: package, configuration: configuration)
    guard case .program(let program) = plan.modelStructure, let main = program.functions["main"]
    else { return [] }
    return main.block.operations.compactMap { operation in
        guard let usage = plan.deviceUsage(for: operation) else { return nil }
        return PlannedOp(
            op: operation.operatorName, output: operation.outputs.first?.name ?? "",
            preferred: unitName(usage.preferred), supported: usage.supported.map(unitName),
            cost_weight: plan.estimatedCost(of: operation)?.weight)
    }
}

@available(iOS 17.4, *)
func unitName(_ device: MLComputeDevice) -> String {
    switch device {
    case .cpu: return "cpu"
    case .gpu: return "gpu"
    case .neuralEngine: return "ane"
    @unknown default: return "other"
    }
}

func nowMs() -> Double { Double(clock_gettime_nsec_np(CLOCK_UPTIME_RAW)) / 1e6 }

func deviceState() -> DeviceState {
    let version = ProcessInfo.processInfo.operatingSystemVersion
    return DeviceState(
        product_type: systemValue("hw.machine"),
        os: "iOS \(version.majorVersion).\(version.minorVersion).\(version.patchVersion)",
        build: systemValue("kern.osversion"),
        low_power: ProcessInfo.processInfo.isLowPowerModeEnabled)
}

func systemValue(_ name: String) -> String {
    var size = 0
    sysctlbyname(name, nil, &size, nil, 0)
    var bytes = [CChar](repeating: 0, count: max(size, 1))
    sysctlbyname(name, &bytes, &size, nil, 0)
    return String(cString: bytes)
}

func thermalState() -> String {
    switch ProcessInfo.processInfo.thermalState {
    case .nominal: return "nominal"
    case .fair: return "fair"
    case .serious: return "serious"
    case .critical: return "critical"
    @unknown default: return "critical"
    }
}

/// Waits while the phone reports that it throttles, for at most two minutes.
func waitUntilCool() {
    for _ in 0..<120 {
        let state = ProcessInfo.processInfo.thermalState
        if state == .nominal || state == .fair { return }
        Thread.sleep(forTimeInterval: 1)
    }
}
