"""What measures and makes data: objects, their renderings, metrics, experiments. Nothing that makes a mesh needs it."""
