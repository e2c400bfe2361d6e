"""The games: a folder holds all that the package knows of one. Needs procgen; neither torch nor Ray."""


def task_of(game):
    from heist_encoders.errors import DatasetError
    from heist_encoders.tasks.heist import scene

    class T:
        def semantic_maps(self, labels, mode):
            if game != "heist":
                raise DatasetError(f"{game} has no semantic maps")
            return scene.SemanticMaps(labels, mode)

        def cells_in_view(self, mode):
            return {"easy": 9, "hard": 13, "memory": 8}[mode] if game == "heist" else None

    return T()
