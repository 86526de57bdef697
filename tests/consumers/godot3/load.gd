# Loads every resource below res://sprites and prints what Godot made of it as one line of JSON.
extends SceneTree

func _init():
	var found = {}
	visit("res://sprites", found)
	print("LOADED " + to_json(found))
	quit()

func visit(folder, found):
	var dir = Directory.new()
	if dir.open(folder) != OK:
		return
	dir.list_dir_begin(true, true)
	var name = dir.get_next()
	while name != "":
		var path = folder + "/" + name
		if dir.current_is_dir():
			visit(path, found)
		elif name.ends_with(".tres"):
			found[path] = described(load(path))
		name = dir.get_next()

func described(resource):
	if resource is SpriteFrames:
		var animations = {}
		for name in resource.get_animation_names():
			var frames = []
			for number in range(resource.get_frame_count(name)):
				frames.append(texture(resource.get_frame(name, number)))
			animations[name] = {
				"speed": resource.get_animation_speed(name),
				"loop": resource.get_animation_loop(name),
				"frames": frames,
			}
		return animations
	if resource is AtlasTexture:
		return texture(resource)
	if resource is TileSet:
		var tiles = {}
		for id in resource.get_tiles_ids():
			tiles[str(id)] = {
				"name": resource.tile_get_name(id),
				"region": rectangle(resource.tile_get_region(id)),
				"offset": [resource.tile_get_texture_offset(id).x, resource.tile_get_texture_offset(id).y],
				"page": resource.tile_get_texture(id).resource_path,
				"mode": resource.tile_get_tile_mode(id),
			}
		return tiles
	return null

func texture(atlas):
	return {
		"page": atlas.atlas.resource_path,
		"region": rectangle(atlas.region),
		"margin": rectangle(atlas.margin),
		"size": [atlas.get_width(), atlas.get_height()],
		"pixels": pixels(atlas),
	}

# The whole picture, as Godot places the region in it: 8 hexadecimal digits a pixel.
func pixels(atlas):
	var page = atlas.atlas.get_data()
	page.decompress()
	page.convert(Image.FORMAT_RGBA8)
	var whole = Image.new()
	whole.create(atlas.get_width(), atlas.get_height(), false, Image.FORMAT_RGBA8)
	whole.blit_rect(page, atlas.region, atlas.margin.position)
	return whole.get_data().hex_encode()

func rectangle(value):
	return [value.position.x, value.position.y, value.size.x, value.size.y]
