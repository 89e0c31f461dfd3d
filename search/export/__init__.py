"""Export of a model for an app: Core ML packages, ONNX and tables, with checks of their outputs."""
