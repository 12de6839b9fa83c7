"""ONNX graphs: made of trained modules, and rewritten for speed."""
